import { cellsOf, type Painter, pngBase64 } from './painter.js';

/** An inline image of iTerm2 (iterm2.com/documentation-images.html), sized in cells. */
export function itermSequence(base64: string, columns: number, rows: number): string {
  const size = `width=${String(columns)};height=${String(rows)};preserveAspectRatio=1`;
  return `\u001b]1337;File=inline=1;${size}:${base64}\u0007`;
}

export const paintIterm: Painter = async (image, width) => {
  const { columns, rows } = cellsOf(image, width);
  return { text: itermSequence(await pngBase64(image), columns, rows), rows };
};
