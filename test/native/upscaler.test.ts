import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  createRuntime,
  ensureEmbeddedModel,
  GeneratedImage,
  type ProgressEvent,
  type RawImage,
  type Runtime,
} from '../../lib/index.js';
import { maxAbsDiff, psnr } from '../parity/psnr.js';
import { deviation, failure, paint, rejection, sha256, threads } from '../support/native.js';
import { writeTextFile, writeTruncated } from '../support/synthetic/index.js';
import { writeUpscaler } from '../support/upscaler.js';

let runtime: Runtime;
let directory: string;
const at = (name: string): string => join(directory, name);

beforeAll(async () => {
  runtime = await createRuntime({ backend: 'cpu', threads });
  directory = await mkdtemp(join(tmpdir(), 'node-diffusion-'));
  await writeUpscaler(at('nearest-x2.safetensors'), { scale: 2, weights: 'nearest' });
  await writeUpscaler(at('nearest-x4.safetensors'), { scale: 4, weights: 'nearest' });
  await writeUpscaler(at('old-x4.safetensors'), { scale: 4, weights: 'nearest', names: 'old' });
  await writeUpscaler(at('random-x2.safetensors'), { scale: 2, weights: { seed: 5 }, blocks: 1 });
});
afterAll(async () => {
  await runtime.dispose({ abort: true });
  await rm(directory, { recursive: true });
});

/** Not square, so that exchanged axes would show. */
const picture: RawImage = (() => {
  const { data } = paint((x, y) => [(x * 7) % 256, (y * 5) % 256, (x * y) % 256], 48);
  return { width: 48, height: 32, channels: 3, data: data.slice(0, 48 * 32 * 3) };
})();

function repeated({ width, height, data }: RawImage, scale: number): Uint8Array {
  const result = new Uint8Array(width * height * scale * scale * 3);
  for (let y = 0; y < height * scale; y++) {
    for (let x = 0; x < width * scale; x++) {
      const from = (Math.floor(y / scale) * width + Math.floor(x / scale)) * 3;
      result.set(data.subarray(from, from + 3), (y * width * scale + x) * 3);
    }
  }
  return result;
}

describe('an upscaler', () => {
  it.each([
    ['nearest-x2.safetensors', 2],
    ['nearest-x4.safetensors', 4],
    ['old-x4.safetensors', 4],
  ] as const)('of weights that repeat pixels does so: %s', async (file, scale) => {
    await using upscaler = await runtime.loadUpscaler({ file: at(file) });
    expect(upscaler.scale).toBe(scale);
    const image = await upscaler.upscale({ image: picture });
    expect([image.width, image.height, image.channels]).toEqual([48 * scale, 32 * scale, 3]);
    // One level for the way to floats and back.
    expect(maxAbsDiff(image.data, repeated(picture, scale))).toBeLessThanOrEqual(1);
  });

  it('in tiles agrees with one piece', async () => {
    const tileSize = 64;
    const wide = paint((x, y) => [x * 2, y * 2, 128 + 100 * Math.sin((x + y) / 9)], 112);
    await using whole = await runtime.loadUpscaler({ file: at('random-x2.safetensors') });
    await using tiled = await runtime.loadUpscaler({ file: at('random-x2.safetensors'), tileSize });
    const expected = await whole.upscale({ image: wide });
    const events: ProgressEvent[] = [];
    const image = await tiled.upscale({ image: wide, onProgress: (event) => void events.push(event) });
    expect([image.width, image.height]).toEqual([224, 224]);
    expect(deviation(expected.data)).toBeGreaterThan(1);
    expect(psnr(image.data, expected.data)).toBeGreaterThan(25);
    // Tiles overlap by a quarter. A corner is seen by one tile only, and far from that tile's inner edges, beyond the
    // reach of the network's 3x3 convolutions (15 in the block and one each before, after and behind), nothing differs.
    const alone = 64 - 16 - 20;
    let worst = 0;
    for (let y = 0; y < alone * 2; y++) {
      for (let x = 0; x < alone * 2 * 3; x++) {
        const index = y * 224 * 3 + x;
        worst = Math.max(worst, Math.abs((image.data[index] ?? 0) - (expected.data[index] ?? 0)));
      }
    }
    expect(worst).toBeLessThanOrEqual(1);
    expect(events.at(-1)).toMatchObject({ fraction: 1, eta: 0 });
    expect(Math.max(...events.map(({ total }) => total))).toBeGreaterThan(1);
    for (const [i, { fraction }] of events.entries())
      expect(fraction).toBeGreaterThanOrEqual(events[i - 1]?.fraction ?? 0);
  });

  it('gives the same bytes again, with direct convolutions nearly so', async () => {
    await using upscaler = await runtime.loadUpscaler({ file: at('random-x2.safetensors') });
    const first = await upscaler.upscale({ image: picture });
    expect(sha256((await upscaler.upscale({ image: picture })).data)).toBe(sha256(first.data));
    await using direct = await runtime.loadUpscaler({ file: at('random-x2.safetensors'), convDirect: true });
    expect(psnr((await direct.upscale({ image: picture })).data, first.data)).toBeGreaterThan(40);
  });

  it('keeps seed and parameters of a generated picture', async () => {
    const pixels = { ...picture };
    const image = new GeneratedImage({ pixels, seed: 9, parameters: { steps: 3 }, infotext: 'x\nSteps: 3' });
    await using upscaler = await runtime.loadUpscaler({ file: at('nearest-x2.safetensors') });
    const result = await upscaler.upscale({ image });
    expect([result.seed, result.parameters, result.infotext]).toEqual([9, { steps: 3 }, 'x\nSteps: 3']);
    expect((await upscaler.upscale({ image: picture })).seed).toBe(-1);
  });

  it('can be stopped, and works afterwards', async () => {
    await using upscaler = await runtime.loadUpscaler({ file: at('random-x2.safetensors'), tileSize: 32 });
    const expected = sha256((await upscaler.upscale({ image: picture })).data);
    const large = paint((x, y) => [x, y, 0], 192);
    const controller = new AbortController();
    const reason = new Error('large enough');
    const onProgress = ({ step }: ProgressEvent): void => {
      if (step === 1) controller.abort(reason);
    };
    expect(await rejection(upscaler.upscale({ image: large, signal: controller.signal, onProgress }))).toBe(reason);
    expect(sha256((await upscaler.upscale({ image: picture })).data)).toBe(expected);
  });

  it('disposed of is refused, twice is once', async () => {
    const upscaler = await runtime.loadUpscaler({ file: at('nearest-x2.safetensors') });
    const running = upscaler.upscale({ image: picture });
    await Promise.all([upscaler.dispose(), upscaler.dispose()]);
    expect((await running).width).toBe(96);
    await upscaler.dispose();
    expect(await failure(upscaler.upscale({ image: picture }))).toMatchObject({ code: 'ERR_DISPOSED' });
  });
});

describe('files that are no upscaler', () => {
  const load = (name: string) => failure(runtime.loadUpscaler({ file: at(name) }));

  it('missing', async () => {
    expect(await load('nothing.safetensors')).toMatchObject({ code: 'ERR_MODEL_NOT_FOUND', field: 'file' });
  });

  it('a directory', async () => {
    const error = await failure(runtime.loadUpscaler({ file: directory }));
    expect(error).toMatchObject({ code: 'ERR_MODEL_CORRUPT', field: 'file' });
  });

  it('text', async () => {
    await writeTextFile(at('page.safetensors'));
    expect(await load('page.safetensors')).toMatchObject({ code: 'ERR_MODEL_UNSUPPORTED', field: 'file' });
    await writeFile(at('empty.pth'), '');
    expect((await load('empty.pth')).code).toBe('ERR_MODEL_CORRUPT');
  });

  it('cut off', async () => {
    await writeTruncated(at('nearest-x2.safetensors'), at('short.safetensors'), 100_000);
    expect((await load('short.safetensors')).code).toBe('ERR_MODEL_CORRUPT');
  });

  it('a TAESD', async () => {
    const { taesd } = await ensureEmbeddedModel();
    const error = await failure(runtime.loadUpscaler({ file: taesd }));
    expect(error).toMatchObject({ code: 'ERR_MODEL_UNSUPPORTED', field: 'file' });
  });

  // The rule of every model file: what is missing may be another architecture, a wrong shape is damage.
  it('one with a tensor missing, and one of other widths', async () => {
    await writeUpscaler(at('lacking.safetensors'), { scale: 2, weights: 'nearest', leaveOut: 'conv_hr' });
    expect((await load('lacking.safetensors')).code).toBe('ERR_MODEL_UNSUPPORTED');
    await writeUpscaler(at('narrow.safetensors'), { scale: 2, weights: 'nearest', features: 32 });
    expect((await load('narrow.safetensors')).code).toBe('ERR_MODEL_CORRUPT');
  });

  it('an upscaler given as a checkpoint', async () => {
    const error = await failure(runtime.loadModel({ checkpoint: at('nearest-x2.safetensors') }));
    expect(error).toMatchObject({ code: 'ERR_MODEL_UNSUPPORTED', field: 'checkpoint' });
    expect(error.message).toContain('upscaler');
  });

  it('a picture that is none', async () => {
    await using upscaler = await runtime.loadUpscaler({ file: at('nearest-x2.safetensors') });
    const error = await failure(upscaler.upscale({ image: at('page.safetensors') }));
    expect(error.code).toBe('ERR_IMAGE_INVALID');
  });
});
