/** Text encoders by the beginning of the engine's architecture name; the first match decides. */
const encoders: readonly (readonly [prefix: string, encoders: string])[] = [
  ['SDXL', 'clipL clipG'],
  ['SD3', 'clipL clipG t5xxl'],
  // The second version of SDXS, and SD 2.x, have OpenCLIP ViT-H.
  ['SDXS (09)', 'clipH'],
  ['SD 2', 'clipH'],
  ['SD', 'clipL'],
  ['Instruct-Pix2Pix', 'clipL'],
  ['Flux.2', ''],
  ['Flux', 'clipL t5xxl'],
  ['Flex', 'clipL t5xxl'],
];

/** Whether a prompt encoded for one architecture can be read by the other. Not known: only by the same one. */
export function sharesTextEncoder(a: string, b: string): boolean {
  if (a === b) return true;
  const of = (name: string): string => encoders.find(([prefix]) => name.startsWith(prefix))?.[1] ?? '';
  return of(a) !== '' && of(a) === of(b);
}
