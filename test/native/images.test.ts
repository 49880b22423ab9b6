import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  type GeneratedImage,
  type GenerateResult,
  infotextToMode,
  infotextToModel,
  infotextToRequest,
  readInfotext,
  type Txt2ImgRequest,
} from '../../lib/index.js';
import { readImage } from '../../lib/image/index.js';
import { psnr } from '../parity/psnr.js';
import { collectGarbage, expectPicture, hashes, only, paint, sha256, tiny, useModel } from '../support/native.js';

const fixture = useModel();
let image: GeneratedImage;

beforeAll(async () => {
  image = only(await fixture.model.txt2img({ ...tiny, negativePrompt: 'blue, "quoted"', cfgScale: 3 }));
});

describe('a generated picture', () => {
  it('lies in memory of its own: no copy, no pool', () => {
    expectPicture(image);
    expect(image.data.byteOffset).toBe(0);
    expect(image.data.buffer.byteLength).toBe(image.data.length);
  });

  it('survives garbage collection while somebody holds it', async () => {
    let picture: GeneratedImage | undefined = only(await fixture.model.txt2img({ ...tiny, steps: 1 }));
    const { data } = picture;
    const before = sha256(data);
    picture = undefined;
    expect(await collectGarbage()).toBe(true);
    await fixture.model.txt2img({ ...tiny, steps: 1, seed: 5 });
    expect(await collectGarbage()).toBe(true);
    expect(sha256(data)).toBe(before);
    expect(picture).toBeUndefined();
  });

  it('belongs to nobody else: writing to it changes no other', async () => {
    const [first, second] = [
      only(await fixture.model.txt2img({ ...tiny, steps: 1 })),
      only(await fixture.model.txt2img({ ...tiny, steps: 1 })),
    ];
    const before = sha256(second.data);
    first.data.fill(0);
    expect(sha256(second.data)).toBe(before);
    expect(before).toBe(hashes(await fixture.model.txt2img({ ...tiny, steps: 1 })).join());
  });

  it('outlives its model', async () => {
    const model = await fixture.runtime.loadModel({ mmap: true });
    const picture = only(await model.txt2img({ ...tiny, steps: 1 }));
    await model.dispose();
    await collectGarbage();
    expect([sha256(picture.data)]).toEqual(hashes(await fixture.model.txt2img({ ...tiny, steps: 1 })));
    expect((await picture.toPng()).length).toBeGreaterThan(100);
  });

  it('can be moved to another thread', () => {
    const copy = structuredClone(image.data);
    expect(sha256(copy)).toBe(sha256(image.data));
  });
});

describe('files', () => {
  it('PNG and lossless WebP give the pixels back', async () => {
    for (const file of [await image.toPng(), await image.toWebp({ lossless: true })]) {
      const { width, height, data } = await readImage(file);
      expect([width, height]).toEqual([image.width, image.height]);
      expect(sha256(data)).toBe(sha256(image.data));
    }
  });

  it('JPEG and WebP give nearly the pixels back, and more of them with more quality', async () => {
    for (const encode of [
      (quality: number) => image.toJpeg({ quality }),
      (quality: number) => image.toWebp({ quality }),
    ]) {
      const [poor, good] = await Promise.all(
        [10, 95].map(async (quality) => psnr((await readImage(await encode(quality))).data, image.data)),
      );
      expect(good).toBeGreaterThan(25);
      expect(good).toBeGreaterThan(poor ?? NaN);
    }
  });

  it('carry the infotext, and are read as the start of img2img', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'node-diffusion-'));
    try {
      for (const extension of ['png', 'webp', 'jpg']) {
        const path = await image.save(join(directory, `picture.${extension}`));
        expect(await readInfotext(path)).toBe(image.infotext);
      }
      const path = join(directory, 'picture.png');
      const request = { ...tiny, denoisingStrength: 0.5 };
      const fromFile = await fixture.model.img2img({ ...request, image: path });
      expect(hashes(fromFile)).toEqual(hashes(await fixture.model.img2img({ ...request, image })));
    } finally {
      await rm(directory, { recursive: true });
    }
  });
});

describe('infotext', () => {
  const requests: readonly (readonly [string, Partial<Txt2ImgRequest>])[] = [
    ['plain', {}],
    [
      'guided',
      { cfgScale: 4.25, negativePrompt: 'blue: green, "x"', prompt: 'a lemon, (big:1.2), Steps: 3\nsecond line' },
    ],
    ['sampler and schedule', { sampler: 'dpm++2mv2', schedule: 'karras', steps: 3 }],
    ['eta and clip skip', { sampler: 'euler_a', eta: 0.3, clipSkip: 2, seed: 2 ** 53 - 1 }],
    ['own sigmas', { sigmas: [14.6, 3.1, 0.5, 0] }],
    ['tiling', { tiling: { tileSize: 8, overlap: 0.25 }, width: 128 }],
    ['step cache', { stepCache: { mode: 'ucache', threshold: 0.8 }, steps: 4 }],
  ];

  it.each(requests)('of a request makes the same bytes again: %s', async (_, change) => {
    const first = only(await fixture.model.txt2img({ ...tiny, ...change }));
    const text = await readInfotext(await first.toPng());
    expect(text).toBe(first.infotext);
    expect(infotextToMode(text ?? '')).toBe('txt2img');
    expect(hashes(await fixture.model.txt2img(infotextToRequest(text ?? '')))).toEqual([sha256(first.data)]);
  });

  it.each(['img2img', 'inpaint'] as const)('of %s makes the same bytes again beside its pictures', async (mode) => {
    const start = paint((x, y) => [4 * x, 4 * y, 128]);
    const mask = paint((x) => (x < 32 ? [255, 255, 255] : [0, 0, 0]));
    const make = (request: Txt2ImgRequest & { denoisingStrength?: number | undefined }): Promise<GenerateResult> =>
      mode === 'img2img'
        ? fixture.model.img2img({ ...request, image: start })
        : fixture.model.inpaint({ ...request, image: start, mask });
    const first = only(await make({ ...tiny, steps: 3, denoisingStrength: 1 / 3, sampler: 'euler_a' }));
    const text = (await readInfotext(await first.toPng())) ?? '';
    expect(infotextToMode(text)).toBe(mode);
    const request = infotextToRequest(text);
    expect(request.denoisingStrength).toBe(1 / 3);
    expect(hashes(await make(request))).toEqual([sha256(first.data)]);
    // The same text is good for txt2img, which has no strength.
    const plain = infotextToRequest(text, { mode: 'txt2img' });
    expect(hashes(await fixture.model.txt2img({ ...plain, steps: 1 }))).not.toEqual([sha256(first.data)]);
  });

  it('of each image of a batch makes that image', async () => {
    const batch = await fixture.model.txt2img({ ...tiny, sampler: 'euler_a', batchSize: 2, seed: 50 });
    for (const picture of batch.images) {
      const request = infotextToRequest(picture.infotext);
      expect(request.seed).toBe(picture.seed);
      expect(hashes(await fixture.model.txt2img(request))).toEqual([sha256(picture.data)]);
    }
  });

  it('parameters of a picture are a request that makes it again', async () => {
    const { mode, ...request } = image.parameters;
    expect(mode).toBe('txt2img');
    expect(hashes(await fixture.model.txt2img(request as unknown as Txt2ImgRequest))).toEqual([sha256(image.data)]);
  });

  it('names the model, and its hash when somebody has asked for it', async () => {
    const { name } = fixture.model.info;
    expect(infotextToModel(image.infotext)).toMatchObject({ model: name });
    const identity = await fixture.model.identity();
    const checkpoint = identity.find(({ role }) => role === 'checkpoint')?.sha256;
    expect(checkpoint).toMatch(/^[0-9a-f]{64}$/);
    const picture = only(await fixture.model.txt2img({ ...tiny, steps: 1 }));
    expect(infotextToModel(picture.infotext).modelHash).toBe(checkpoint?.slice(0, 10));
  });
});
