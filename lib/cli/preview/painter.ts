import { GeneratedImage, type RawImage } from '../../image/index.js';

/** What to write where a picture shall begin, and how many lines it covers. */
export interface Painting {
  readonly text: string;
  readonly rows: number;
}

/** Turns a picture into what a terminal of so many columns understands. The cursor may be anywhere afterwards. */
export type Painter = (image: RawImage, columns: number) => Promise<Painting>;

/** Cells that a picture covers, at most 32 wide and 16 high. Cells are taken to be twice as high as wide. */
export function cellsOf({ width, height }: RawImage, columns: number): { columns: number; rows: number } {
  const most = { columns: Math.max(1, Math.min(32, columns - 1)), rows: 16 };
  const scale = Math.min(most.columns / width, (2 * most.rows) / height);
  return { columns: Math.max(1, Math.round(width * scale)), rows: Math.max(1, Math.round((height * scale) / 2)) };
}

/** The picture as base64 of a PNG. */
export async function pngBase64(pixels: RawImage): Promise<string> {
  const image = new GeneratedImage({ pixels, seed: 0, parameters: {}, infotext: '' });
  return (await image.toPng({ compression: 1 })).toString('base64');
}
