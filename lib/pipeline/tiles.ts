import type { NativeTiling } from '../native/index.js';

/** Latent cells of the engine's own tiles. */
const engineTile = 32;
const smallest = 16;
const step = 8;

/** Tilings to try when a whole picture does not fit, the largest tiles first. Square, in latent cells. */
export function tileChoices(width: number, height: number, scaleFactor: number): NativeTiling[] {
  const edge = Math.max(width, height) / scaleFactor;
  const choices: NativeTiling[] = [];
  for (let size = Math.ceil(edge / step) * step - step; size >= smallest; size -= step)
    choices.push({ enabled: true, tileSizeX: size, tileSizeY: size, overlap: 0.5 });
  return choices;
}

/** Pixels of one tile. */
export function effectiveTile(tiling: NativeTiling, width: number, height: number, scaleFactor: number): number {
  const edge = (size: number, whole: number): number => Math.min((size > 0 ? size : engineTile) * scaleFactor, whole);
  return edge(tiling.tileSizeX, width) * edge(tiling.tileSizeY, height);
}

/** The first of the choices that fits, when every one after one that fits fits as well. */
export async function largestThatFits<T>(
  choices: readonly T[],
  fits: (choice: T) => Promise<boolean>,
): Promise<T | undefined> {
  let [low, high] = [0, choices.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (await fits(choices[middle] as T)) high = middle;
    else low = middle + 1;
  }
  return choices[low];
}
