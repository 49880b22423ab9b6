/** RGB pixels of a square picture. */
export interface Square {
  readonly data: Uint8Array;
  readonly size: number;
}

export interface Seams {
  /**
   * Levels (0..255) by which the mean step between neighbouring pixels is larger than in the whole picture, at the
   * worst line of latent cells, across or down. A seam is a line where all pixels step at once.
   */
  readonly excess: number;
  /** Largest difference of a pixel to the whole picture, levels. */
  readonly largest: number;
}

/** Compares a picture decoded in tiles with the same decoded whole. Tiles begin and end at latent cells. */
export function seamsOf(tiled: Square, whole: Square, cell = 8): Seams {
  let [excess, largest] = [-Infinity, 0];
  for (let line = cell; line < whole.size; line += cell) {
    for (const down of [false, true]) excess = Math.max(excess, step(tiled, line, down) - step(whole, line, down));
  }
  for (const [index, value] of tiled.data.entries()) {
    largest = Math.max(largest, Math.abs(value - (whole.data[index] ?? 0)));
  }
  return { excess, largest };
}

/** Mean absolute difference between the pixels on both sides of a line. */
function step({ data, size }: Square, line: number, down: boolean): number {
  let sum = 0;
  for (let along = 0; along < size; along++) {
    for (let channel = 0; channel < 3; channel++) {
      const at = (x: number, y: number): number => data[(y * size + x) * 3 + channel] ?? 0;
      sum += Math.abs(down ? at(along, line) - at(along, line - 1) : at(line, along) - at(line - 1, along));
    }
  }
  return sum / (size * 3);
}
