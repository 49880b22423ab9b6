import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { cropPixels, type PixelFilter, resizePixels } from '../../../lib/pipeline/hires/index.js';

interface Case {
  readonly filter: PixelFilter;
  readonly from: readonly [width: number, height: number];
  readonly to: readonly [width: number, height: number];
  readonly input: number;
  readonly output: number;
}

const file = (name: string) => readFileSync(new URL(`reference/${name}`, import.meta.url));
const { cases } = JSON.parse(file('pillow.json').toString()) as { readonly cases: readonly Case[] };
const bytes = file('pillow.u8');
const pixels = ([width, height]: Case['to'], start: number) => ({
  width,
  height,
  channels: 3,
  data: Uint8Array.from(bytes.subarray(start, start + width * height * 3)),
});

describe('pictures resized', () => {
  it.each(
    cases.map((entry) => ({ ...entry, name: `${entry.filter}, ${entry.from.join('x')} to ${entry.to.join('x')}` })),
  )('as Pillow does it: $name', async ({ filter, from, to, input, output }) => {
    expect(await resizePixels(pixels(from, input), ...to, filter)).toEqual(pixels(to, output));
  });

  it('of one channel as of three equal ones', async () => {
    const grey = { width: 5, height: 3, channels: 1, data: Uint8Array.from({ length: 15 }, (_, i) => (i * 71) % 256) };
    const colour = {
      ...grey,
      channels: 3,
      data: Uint8Array.from({ length: 45 }, (_, i) => grey.data[Math.floor(i / 3)] ?? 0),
    };
    for (const filter of ['lanczos', 'bicubic', 'nearest'] as const) {
      const wide = await resizePixels(colour, 11, 7, filter);
      const plain = await resizePixels(grey, 11, 7, filter);
      expect([...wide.data].filter((_, i) => i % 3 === 1)).toEqual([...plain.data]);
    }
  });

  it('are not touched when their size is wanted', async () => {
    const image = { width: 2, height: 1, channels: 3, data: new Uint8Array(6) };
    expect(await resizePixels(image, 2, 1, 'lanczos')).toBe(image);
  });

  it('let the event loop go on and stop when they are aborted', async () => {
    const image = { width: 512, height: 512, channels: 3, data: new Uint8Array(512 * 512 * 3) };
    const controller = new AbortController();
    const work = resizePixels(image, 2048, 2048, 'lanczos', controller.signal);
    setImmediate(() => {
      controller.abort(new Error('enough'));
    });
    await expect(work).rejects.toThrow('enough');
    await expect(resizePixels(image, 600, 600, 'lanczos', controller.signal)).rejects.toThrow('enough');
  });
});

it('pictures are cut out', () => {
  const image = { width: 4, height: 3, channels: 2, data: Uint8Array.from({ length: 24 }, (_, i) => i) };
  expect(cropPixels(image, 1, 1, 2, 2)).toEqual({
    width: 2,
    height: 2,
    channels: 2,
    data: Uint8Array.of(10, 11, 12, 13, 18, 19, 20, 21),
  });
  expect(cropPixels(image, 0, 0, 4, 3)).toBe(image);
});
