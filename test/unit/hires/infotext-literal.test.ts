import { afterAll, describe, expect, it } from 'vitest';
import type { HiresOptions, Txt2ImgRequest } from '../../../lib/index.js';
import { flux, twoModels, type TwoModels } from '../../support/fakeCheckpoints.js';
import { fakeFile } from '../../support/fakeFiles.js';

// The text itself, letter for letter: keys and values as A1111 1.10 and Forge write and read them. Our own reader takes
// no part, so that it cannot agree with a writer that is wrong in the same way.
const request = { prompt: 'a cat', width: 64, height: 128, steps: 4, seed: 5, sampler: 'euler', schedule: 'discrete' };
const made: TwoModels[] = [];
afterAll(() => Promise.all(made.map(({ runtime }) => runtime.dispose())));

/** The last line of a picture's infotext from `Denoising strength` to what follows the hires pass; files by letters. */
async function lineOf(hires: HiresOptions, change: Partial<Txt2ImgRequest> = {}, second?: object): Promise<string> {
  const two = await twoModels(second ?? {});
  made.push(two);
  const checkpoint = second === undefined ? {} : { checkpoint: two.b };
  const { images } = await two.model.txt2img({ ...request, ...change, hires: { ...checkpoint, ...hires } });
  const line = images[0]?.infotext.split('\n').at(-1) ?? '';
  const from = line.indexOf('Denoising strength: ');
  expect(from).toBeGreaterThan(0);
  return line.slice(from).replaceAll(/\b([a-z]+)-\d+\b/g, '$1');
}

const strength = { denoisingStrength: 0.45 };
const other = fakeFile('vae', ['soleVae']);
const clip = fakeFile('clip', ['soleClipL']);
const upscaler = fakeFile('esrgan', ['upscaler']);

describe('the infotext of a hires pass, letter for letter', () => {
  it.each<readonly [string, HiresOptions, string]>([
    ['a scale', { scale: 1.5 }, 'Hires upscale: 1.5, Hires steps: 4, Hires upscaler: Latent'],
    ['the scale that is the default', {}, 'Hires upscale: 2, Hires steps: 4, Hires upscaler: Latent'],
    ['both edges', { width: 128, height: 192 }, 'Hires resize: 128x192, Hires steps: 4, Hires upscaler: Latent'],
    ['one edge', { height: 256 }, 'Hires resize: 128x256, Hires steps: 4, Hires upscaler: Latent'],
    ['steps', { steps: 12 }, 'Hires upscale: 2, Hires steps: 12, Hires upscaler: Latent'],
    ...(
      [
        ['latent-antialiased', 'Latent (antialiased)'],
        ['latent-bicubic', 'Latent (bicubic)'],
        ['latent-bicubic-antialiased', 'Latent (bicubic antialiased)'],
        ['latent-nearest', 'Latent (nearest)'],
        ['latent-nearest-exact', 'Latent (nearest-exact)'],
        ['lanczos', 'Lanczos'],
        ['nearest', 'Nearest'],
        [upscaler, 'esrgan'],
      ] as const
    ).map(
      ([name, label]) =>
        [
          `upscaler ${label}`,
          { upscaler: name },
          `Hires upscale: 2, Hires steps: 4, Hires upscaler: ${label}`,
        ] as const,
    ),
    [
      'sampler and schedule',
      { sampler: 'euler_a', schedule: 'karras' },
      'Hires upscale: 2, Hires steps: 4, Hires upscaler: Latent, Hires sampler: Euler a, Hires schedule type: Karras',
    ],
    [
      'a schedule alone',
      { schedule: 'exponential' },
      'Hires upscale: 2, Hires steps: 4, Hires upscaler: Latent, Hires schedule type: Exponential',
    ],
    [
      'prompts',
      { prompt: 'a dog, big', negativePrompt: 'bad' },
      'Hires upscale: 2, Hires steps: 4, Hires upscaler: Latent, Hires prompt: "a dog, big", Hires negative prompt: bad',
    ],
    [
      'prompts of several lines and with quotes',
      { prompt: 'a "dog"\nbig', negativePrompt: 'style: bad' },
      'Hires upscale: 2, Hires steps: 4, Hires upscaler: Latent, Hires prompt: "a \\"dog\\"\\nbig", Hires negative prompt: "style: bad"',
    ],
    [
      'a CFG scale',
      { cfgScale: 3.5 },
      'Hires upscale: 2, Hires steps: 4, Hires upscaler: Latent, Hires CFG Scale: 3.5',
    ],
  ])('%s', async (_name, hires, text) => {
    const line = await lineOf({ ...strength, ...hires });
    expect(line).toContain('Denoising strength: 0.45, ');
    // Nothing else about the pass stands beside it.
    expect(hiresPart(line)).toBe(text);
  });

  it('has none of these keys without a hires pass, and no strength', async () => {
    const two = await twoModels();
    made.push(two);
    const { images } = await two.model.txt2img(request);
    expect(images[0]?.infotext).not.toMatch(/Hires|Denoising/);
  });

  it.each<readonly [string, HiresOptions, string]>([
    // Forge takes a text without the key for "Use same choices".
    ['its own modules by default', {}, ', Hires Module 1: Built-in'],
    ['its own modules', { modules: 'built-in' }, ', Hires Module 1: Built-in'],
    ['those of the first model', { modules: 'same' }, ', Hires Module 1: Use same choices'],
    ['files', { modules: [other, clip] }, ', Hires Module 1: vae, Hires Module 2: clip'],
  ])('a checkpoint with %s', async (_name, hires, modules) => {
    const line = await lineOf({ ...strength, ...hires }, {}, {});
    expect(hiresPart(line)).toBe(
      `Hires upscale: 2, Hires steps: 4, Hires upscaler: Latent, Hires checkpoint: b${modules}, ` +
        'Hires sampler: Euler, Hires schedule type: Uniform, Hires CFG Scale: 7',
    );
  });

  it('a checkpoint with distilled guidance', async () => {
    const line = await lineOf({ ...strength, guidance: 3, schedule: 'simple' }, {}, flux);
    expect(hiresPart(line)).toBe(
      'Hires upscale: 2, Hires steps: 4, Hires upscaler: Lanczos, Hires checkpoint: b, Hires Module 1: Built-in, ' +
        'Hires sampler: Euler, Hires schedule type: Simple, Hires CFG Scale: 1, Hires Distilled CFG Scale: 3',
    );
  });
});

/** From the first of its keys to the end of the last, quoted values whole. */
function hiresPart(line: string): string {
  const found = line.match(/Hires [\w ]+: (?:"(?:\\.|[^"\\])*"|[^,]*)/g) ?? [];
  const joined = found.join(', ');
  expect(line).toContain(joined);
  return joined;
}
