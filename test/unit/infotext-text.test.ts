import { describe, expect, it } from 'vitest';
import { DiffusionError } from '../../lib/errors/index.js';
import {
  buildInfotext,
  infotextToMode,
  infotextToModel,
  infotextToRequest,
  type InfotextParams,
  type InfotextRequest,
  parseInfotext,
} from '../../lib/image/index.js';
import { samplers, schedules } from '../../lib/options/index.js';

const base = {
  prompt: 'a red apple',
  negativePrompt: 'blurry',
  steps: 20,
  sampler: 'euler_a',
  schedule: 'karras',
  cfgScale: 7.5,
  seed: 42,
  width: 512,
  height: 768,
} as const;

/** Text in the form A1111 1.10 writes, with a value of every quoting kind. */
const foreign = [
  'girl with a beret, (masterpiece:1.2)',
  'second line <lora:x:0.8>',
  'Negative prompt: ugly, [blurry]',
  'more of it',
  'Steps: 30, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7, Seed: 965400086, Size: 512x640, ' +
    'Model hash: 6ce0161689, Model: v1-5-pruned, Denoising strength: 0.55, Clip skip: 2, RNG: NV, ' +
    'Lora hashes: "x: 0123456789ab, y: ba9876543210", TI hashes: "say \\"hi\\", ok: 1", Version: v1.10.1',
].join('\n');

describe('buildInfotext', () => {
  it('writes what A1111 writes, in its order', () => {
    const text = buildInfotext({
      ...base,
      modelHash: '6ce0161689',
      model: 'nano',
      denoisingStrength: 0.75,
      clipSkip: 2,
      rng: 'cpu',
      maskBlur: 4,
      extra: { 'Lora hashes': 'x: 01, y: 02' },
      generator: 'node-diffusion 0.1.0',
    });
    expect(text).toBe(
      'a red apple\nNegative prompt: blurry\n' +
        'Steps: 20, Sampler: Euler a, Schedule type: Karras, CFG scale: 7.5, Seed: 42, Size: 512x768, ' +
        'Model hash: 6ce0161689, Model: nano, Denoising strength: 0.75, Clip skip: 2, RNG: CPU, ' +
        'Mask blur: 4, Lora hashes: "x: 01, y: 02", Version: node-diffusion 0.1.0',
    );
  });

  it.each(['__proto__', 'constructor', 'toString'])(
    'takes %s for no name, which every table of names inherits',
    (name) => {
      const { sampler: _sampler, schedule: _schedule, ...without } = base;
      const words = { sampler: name, schedule: name, rng: name, resizeMode: name, inpaintArea: name };
      const hires = { scale: 2, denoisingStrength: 0.5, sampler: name, schedule: name };
      const params = { ...base, ...words, hires } as unknown as InfotextParams;
      expect(buildInfotext(params)).toBe(buildInfotext({ ...without, hires: { scale: 2, denoisingStrength: 0.5 } }));
    },
  );

  it('leaves out the negative prompt when there is none, NaN, and what is undefined', () => {
    const text = buildInfotext({ ...base, negativePrompt: '', eta: NaN });
    expect(text).not.toContain('Negative prompt');
    expect(text).not.toContain('Eta');
  });

  it('refuses extra keys that would not be read back', () => {
    for (const key of ['a:b', 'a,b', 'x', '', '-ab', 'Steps', 'Prompt', 'Size', 'a\nb']) {
      expect(() => buildInfotext({ ...base, extra: { [key]: 1 } })).toThrowError(DiffusionError);
    }
  });
});

describe('parseInfotext', () => {
  it('reads A1111 text', () => {
    const parsed = parseInfotext(foreign);
    expect(parsed.prompt).toBe('girl with a beret, (masterpiece:1.2)\nsecond line <lora:x:0.8>');
    expect(parsed.negativePrompt).toBe('ugly, [blurry]\nmore of it');
    expect(parsed.clipSkip).toBe(2);
    expect(parsed.parameters).toMatchObject({
      Steps: '30',
      'CFG scale': '7',
      Size: '512x640',
      'Lora hashes': 'x: 0123456789ab, y: ba9876543210',
      'TI hashes': 'say "hi", ok: 1',
      Version: 'v1.10.1',
    });
  });

  it('takes the last line for parameters only with three pairs or more', () => {
    expect(parseInfotext('a cat\nSteps: 20, Seed: 1')).toEqual({
      prompt: 'a cat\nSteps: 20, Seed: 1',
      negativePrompt: '',
      clipSkip: 1,
      parameters: {},
    });
    expect(parseInfotext('a cat\nSteps: 20, Seed: 1, Size: 8x8').prompt).toBe('a cat');
    expect(parseInfotext('Steps: 20, Seed: 1, Size: 8x8')).toMatchObject({ prompt: '', clipSkip: 1 });
    const withEmpty = parseInfotext('a cat\nSteps: 20, Seed: , Size: 8x8');
    expect(withEmpty).toMatchObject({ prompt: 'a cat', parameters: { Steps: '20', Size: '8x8' } });
    expect(withEmpty.parameters).not.toHaveProperty('Seed');
    expect(parseInfotext('')).toEqual({ prompt: '', negativePrompt: '', clipSkip: 1, parameters: {} });
  });

  it('strips lines as Python does', () => {
    const parsed = parseInfotext(' \u00a0a \n\n\u3000b\t\n Negative prompt:  c \n\nd\n Steps: 1,Seed:2 , Size:  8x8');
    expect(parsed).toMatchObject({ prompt: 'a\n\nb', negativePrompt: 'c\n\nd' });
    expect(parsed.parameters).toEqual({ Steps: '1', Seed: '2 ', Size: '8x8' });
  });

  it('survives hostile text in linear time', () => {
    const long = 400_000;
    for (const text of [
      'a'.repeat(long),
      'a '.repeat(long),
      ' '.repeat(long) + 'x',
      'aa: "' + '\\"'.repeat(long),
      'aa:,'.repeat(long / 4),
      'aa: "x,'.repeat(long / 8),
      '\u00a0'.repeat(long),
    ]) {
      const start = performance.now();
      parseInfotext(text);
      expect(performance.now() - start).toBeLessThan(2000);
    }
    expect(Object.getPrototypeOf(parseInfotext('x\n__proto__: 1, Steps: 2, Seed: 3').parameters)).toBe(
      Object.prototype,
    );
  });
});

describe('infotextToRequest', () => {
  it('translates A1111 text', () => {
    expect(infotextToRequest(foreign)).toEqual({
      prompt: 'girl with a beret, (masterpiece:1.2)\nsecond line <lora:x:0.8>',
      negativePrompt: 'ugly, [blurry]\nmore of it',
      steps: 30,
      sampler: 'dpm++2m',
      schedule: 'karras',
      cfgScale: 7,
      seed: 965400086,
      width: 512,
      height: 640,
      denoisingStrength: 0.55,
      clipSkip: 2,
    });
    expect(infotextToModel(foreign)).toEqual({
      model: 'v1-5-pruned',
      modelHash: '6ce0161689',
      rng: 'cuda',
      generator: 'v1.10.1',
    });
  });

  it('reads old sampler names with a schedule, and Automatic as none', () => {
    const old = 'x\nSteps: 20, Sampler: DPM++ 2M Karras, Seed: 1, Size: 8x8';
    expect(infotextToRequest(old)).toMatchObject({ sampler: 'dpm++2m', schedule: 'karras' });
    const automatic = infotextToRequest('x\nSteps: 20, Sampler: Euler, Schedule type: Automatic, Seed: 1');
    expect(automatic).toEqual({ prompt: 'x', negativePrompt: '', steps: 20, sampler: 'euler', seed: 1 });
  });

  it.each([
    ['txt2img', ''],
    ['txt2img', ', Denoising strength: 0.7, Hires upscale: 2, Hires upscaler: Latent'],
    ['img2img', ', Denoising strength: 0.7'],
    ['img2img', ', Denoising strength: 0.7, Resize mode: Crop and resize'],
    ['inpaint', ', Denoising strength: 0.7, Mask blur: 4'],
    ['inpaint', ', Denoising strength: 0.7, Inpaint area: Only masked, Masked area padding: 16'],
    ['inpaint', ', Denoising strength: 0.7, Mask mode: Inpaint not masked, Masked content: fill'],
  ] as const)('knows %s by "%s"', (mode, pairs) => {
    const text = `x\nSteps: 2, Seed: 1, Size: 8x8${pairs}`;
    expect(infotextToMode(text)).toBe(mode);
    expect(infotextToMode(parseInfotext(text))).toBe(mode);
    const strength = mode === 'txt2img' ? {} : { denoisingStrength: 0.7 };
    const hires = pairs.includes('Hires') ? { hires: { scale: 2, upscaler: 'Latent', denoisingStrength: 0.7 } } : {};
    const request = { prompt: 'x', negativePrompt: '', steps: 2, seed: 1, width: 8, height: 8 };
    const resize = pairs.includes('Resize') ? { resizeMode: 'crop' } : {};
    expect(infotextToRequest(text)).toMatchObject({ ...request, ...strength, ...resize, ...hires });
    expect(infotextToRequest(text, { mode: 'img2img' })).toEqual({ ...request, ...strength, ...resize });
    expect(infotextToRequest(text, { mode: 'txt2img' })).toEqual({ ...request, ...hires });
  });

  it('reads the settings of A1111 for a mask and a variation', () => {
    const text =
      'x\nSteps: 2, Seed: 1, Size: 8x8, Variation seed: 7, Variation seed strength: 0.3, Denoising strength: 0.7, ' +
      'Mask mode: Inpaint not masked, Mask blur: 4, Inpaint area: Only masked, Masked area padding: 16, ' +
      'Masked content: latent noise, Version: v1.10.1';
    expect(infotextToRequest(text)).toEqual({
      ...{ prompt: 'x', negativePrompt: '', steps: 2, seed: 1, width: 8, height: 8, denoisingStrength: 0.7 },
      ...{ variationSeed: 7, variationStrength: 0.3, maskInvert: true, maskBlur: 4 },
      ...{ inpaintArea: 'only masked', maskedPadding: 16, maskedContent: 'latent noise' },
    });
    expect(infotextToRequest(text, { mode: 'txt2img' })).toEqual({
      ...{ prompt: 'x', negativePrompt: '', steps: 2, seed: 1, width: 8, height: 8 },
      ...{ variationSeed: 7, variationStrength: 0.3 },
    });
  });

  it('gives the strength of a hires pass to that pass', () => {
    const text = 'x\nSteps: 2, Seed: 1, Denoising strength: 0.7, Hires resize: 16x24, Hires upscaler: Latent';
    const hires = { width: 16, height: 24, upscaler: 'Latent', denoisingStrength: 0.7 };
    expect(infotextToRequest(text)).toEqual({ prompt: 'x', negativePrompt: '', steps: 2, seed: 1, hires });
  });

  it.each([
    ['Sampler: PLMS', 'infotext.Sampler'],
    ['Schedule type: Beta', 'infotext.Schedule type'],
    ['Steps: many', 'infotext.Steps'],
    ['Size: big', 'infotext.Size'],
    ['Sigmas: "{}"', 'infotext.Sigmas'],
    ['Step cache: [1]', 'infotext.Step cache'],
    ['Mask blur: 4x5x6', 'infotext.Mask blur'],
    ['Mask mode: perhaps', 'infotext.Mask mode'],
    ['Masked content: gold', 'infotext.Masked content'],
    ['Masked area padding: -1', 'infotext.Masked area padding'],
    ['Inpaint area: left', 'infotext.Inpaint area'],
    ['Resize mode: Just resize (latent upscale)', 'infotext.Resize mode'],
  ])('refuses %s, or leaves it out when not strict', (pair, field) => {
    const text = `x\nAa: 1, Bb: 2, Cc: 3, ${pair}`;
    expect(() => infotextToRequest(text)).toThrowError(expect.objectContaining({ code: 'ERR_INVALID_OPTION', field }));
    expect(infotextToRequest(text, { strict: false })).toEqual({ prompt: 'x', negativePrompt: '' });
  });
});

/** Deterministic random numbers (mulberry32). */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

describe('round trip', () => {
  const pieces = [
    'a red apple',
    'Negative prompt:',
    'Negative prompt: x',
    '\n',
    '\n\n',
    '\r',
    '\r\n',
    ' ',
    '\t',
    ',',
    ':',
    '"',
    '\\',
    '\\n',
    '{}',
    'Steps: 1, Seed: 2, Size: 3x3',
    '(x:1.2)',
    '<lora:a:1>',
    'é',
    '日本語',
    '🍎',
    '\u2028',
    '\u0085',
    '\u00a0',
    '\ufeff',
    '\u001c',
    '512x512',
    'Prompt: "a"',
  ];
  const next = random(1);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(next() * list.length)] as T;
  const words = () => Array.from({ length: Math.floor(next() * 7) }, () => pick(pieces)).join('');
  const maybe = <T>(value: T): T | undefined => (next() < 0.5 ? value : undefined);
  const float = () => Math.fround(next() * 20);

  const inpainting = () => ({
    // Always written, since it tells inpainting from img2img.
    maskBlur: pick([0, 4, 2.5, { x: 0, y: 8 }]),
    maskInvert: maybe(true),
    maskedContent: maybe(pick(['fill', 'latent noise', 'latent nothing'] as const)),
    inpaintArea: maybe(pick(['whole picture', 'only masked'] as const)),
    maskedPadding: maybe(Math.floor(next() * 8193)),
    pasteBack: maybe(pick([true, false])),
    resizeMode: maybe(pick(['crop', 'pad'] as const)),
  });

  it('gives every request back exactly', () => {
    for (let i = 0; i < 3000; i++) {
      const values = {
        prompt: words(),
        negativePrompt: words(),
        steps: 1 + Math.floor(next() * 1000),
        sampler: pick(samplers),
        schedule: maybe(pick(schedules)),
        cfgScale: float(),
        seed: Math.floor(next() * Number.MAX_SAFE_INTEGER),
        width: 64,
        height: 8192,
        imageCfgScale: maybe(float()),
        guidance: maybe(float()),
        variationSeed: maybe(Math.floor(next() * Number.MAX_SAFE_INTEGER)),
        variationStrength: maybe(next()),
        denoisingStrength: maybe(next()),
        clipSkip: maybe(1 + Math.floor(next() * 12)),
        eta: maybe(next() * 1e-9),
        flowShift: maybe(float()),
        controlStrength: maybe(next()),
        sigmas: maybe([float(), float(), 0]),
        skipLayerGuidance: maybe({ layers: [7, 8], start: 0.01, scale: 2.5 }),
        stepCache: maybe({ mode: 'ucache', threshold: 1 }),
        tiling: maybe(pick([true, { tileSize: { x: 4, y: 8 }, overlap: 0.25 }])),
        ...(next() < 0.5 ? {} : inpainting()),
      };
      const request = Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
      const facts = { model: `m${words()}`, generator: 'node-diffusion 0.1.0' };
      const text = buildInfotext({ ...(request as unknown as InfotextRequest), ...facts } as InfotextParams);
      expect(infotextToRequest(text)).toEqual(request);
      expect(infotextToModel(text)).toEqual(facts);
    }
  });

  it('names every generator and the facts of a model', () => {
    const facts = {
      modelHash: '00',
      vae: 'a, b',
      vaeHash: '"',
      rng: 'std_default',
      samplerRng: 'cuda',
      weightType: 'q8_0',
      convolutionType: 'f32',
      circular: true,
    } as const;
    expect(infotextToModel(buildInfotext({ ...base, ...facts }))).toEqual(facts);
    expect(infotextToRequest(buildInfotext({ ...base, ...facts }))).toEqual(base);
  });

  it('reads sigmas of a Float32Array back to the same 32-bit numbers', () => {
    const sigmas = Float32Array.from([14.6146, 0.0292, 0]);
    const read = infotextToRequest(buildInfotext({ ...base, sigmas })).sigmas;
    expect(Float32Array.from(read ?? [])).toEqual(sigmas);
  });
});
