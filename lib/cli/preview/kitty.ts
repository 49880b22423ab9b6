import { cellsOf, type Painter, pngBase64 } from './painter.js';

/** Most base64 characters in one escape sequence, by the protocol. */
const chunkSize = 4096;

/**
 * A PNG in the kitty graphics protocol (sw.kovidgoyal.net/kitty/graphics-protocol): `a=T` sends and shows, `f=100` is
 * PNG, `i` and `p` replace the picture before it, `C=1` leaves the cursor alone, `q=2` asks for no answer.
 */
export function kittySequence(base64: string, columns: number, rows: number): string {
  const chunks: string[] = [];
  for (let at = 0; at < base64.length; at += chunkSize) {
    const more = at + chunkSize < base64.length ? 1 : 0;
    const size = `c=${String(columns)},r=${String(rows)}`;
    const keys = at === 0 ? `a=T,f=100,i=7361,p=1,C=1,q=2,${size},m=${String(more)}` : `m=${String(more)}`;
    chunks.push(`\u001b_G${keys};${base64.slice(at, at + chunkSize)}\u001b\\`);
  }
  return chunks.join('');
}

export const paintKitty: Painter = async (image, width) => {
  const { columns, rows } = cellsOf(image, width);
  return { text: kittySequence(await pngBase64(image), columns, rows), rows };
};
