import type { RawImage } from '../../lib/index.js';

/** An orange disc on a blue ground that fades: edges, a slope and three different channels. */
export function disc(width: number, height: number): RawImage {
  return picture(width, height, 3, (x, y) =>
    inDisc(x / width, y / height)
      ? [230, 140, 30]
      : [40, Math.round((x / width) * 200), 255 - Math.round((y / height) * 150)],
  );
}

/** White where to paint anew: the left of a slanted line that cuts through latent cells. */
export function slantedMask(width: number, height: number): RawImage {
  return picture(width, height, 1, (x, y) => [x + y / 3 < width * 0.6 ? 255 : 0]);
}

function picture(
  width: number,
  height: number,
  channels: 1 | 3,
  pixel: (x: number, y: number) => readonly number[],
): RawImage {
  const data = new Uint8Array(width * height * channels);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) data.set(pixel(x, y), (y * width + x) * channels);
  }
  return { width, height, channels, data };
}

function inDisc(x: number, y: number): boolean {
  return (x - 0.5) ** 2 + (y - 0.45) ** 2 < 0.09;
}
