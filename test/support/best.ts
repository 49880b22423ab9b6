/**
 * The smallest of up to `attempts` measurements, in their own unit; the first that is below `enough` ends it. For bounds of
 * time: other programs may hold the processor for a while, never every time.
 */
export async function best(enough: number, measure: () => Promise<number>, attempts = 12): Promise<number> {
  let smallest = Infinity;
  for (let i = 0; i < attempts && smallest >= enough; i++) smallest = Math.min(smallest, await measure());
  return smallest;
}

/** How many times as long a bound of time is: more under a sanitizer (scripts/tools/sanitizers.mjs). */
export const slowdown = Number(process.env.NODE_DIFFUSION_TEST_SLOWDOWN ?? 1);
