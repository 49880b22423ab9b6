/** Seed and number of cases: `NODE_DIFFUSION_FUZZ_SEED`, `NODE_DIFFUSION_FUZZ_CASES`. The seed is always printed. */
export function fuzzSettings(what: string, cases: number): { readonly seed: number; readonly cases: number } {
  const number = (name: string): number | undefined => {
    const text = process.env[name];
    if (text === undefined || text === '') return undefined;
    const value = Number(text);
    if (!Number.isSafeInteger(value) || value < 0) throw new Error(`${name} is "${text}", expected a whole number`);
    return value;
  };
  const seed = number('NODE_DIFFUSION_FUZZ_SEED') ?? Math.floor(Math.random() * 2 ** 31);
  const settings = { seed, cases: number('NODE_DIFFUSION_FUZZ_CASES') ?? cases };
  process.stdout.write(
    `${what}: ${String(settings.cases)} cases, again with NODE_DIFFUSION_FUZZ_SEED=${String(seed)}\n`,
  );
  return settings;
}
