import type { RawImage } from '../../image/index.js';
import { cellsOf, type Painter } from './painter.js';

/** Pixels as upper half blocks: the upper pixel is the foreground, the lower one the background, in 24-bit colour. */
export function halfBlocks(image: RawImage, columns: number, rows: number): string {
  const lines: string[] = [];
  for (let row = 0; row < rows; row++) {
    let line = '';
    for (let column = 0; column < columns; column++) {
      const upper = pixel(image, (column + 0.5) / columns, (2 * row + 0.5) / (2 * rows));
      const lower = pixel(image, (column + 0.5) / columns, (2 * row + 1.5) / (2 * rows));
      line += `\u001b[38;2;${upper}m\u001b[48;2;${lower}m▀`;
    }
    lines.push(`${line}\u001b[0m`);
  }
  return lines.join('\r\n');
}

/** `r;g;b` at a place in 0..1. */
function pixel({ width, height, channels, data }: RawImage, x: number, y: number): string {
  const at = (Math.floor(y * height) * width + Math.floor(x * width)) * channels;
  return [0, 1, 2].map((channel) => String(data[at + (channels === 1 ? 0 : channel)] ?? 0)).join(';');
}

export const paintHalfBlocks: Painter = async (image, width) => {
  const { columns, rows } = cellsOf(image, width);
  return { text: halfBlocks(image, columns, rows), rows };
};
