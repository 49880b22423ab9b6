import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { exitCodeOf, exitCodes } from '../../lib/cli/exit-codes.js';
import { outputNames } from '../../lib/cli/output-names.js';
import { runCli } from '../../lib/cli/run.js';
import { DiffusionError, type ErrorCode } from '../../lib/errors/index.js';
import { GeneratedImage, readInfotext } from '../../lib/image/index.js';
import type { GenerateEvent, Txt2ImgRequest } from '../../lib/pipeline/index.js';
import type { LoadModelOptions } from '../../lib/sdk/types.js';
import { cliContext } from '../support/cliContext.js';

const folder = mkdtempSync(join(tmpdir(), 'nd-cli-'));
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

const file = (name: string): string => join(folder, name);

interface Calls {
  readonly loads: LoadModelOptions[];
  readonly requests: { readonly mode: string; readonly request: Txt2ImgRequest }[];
  disposed: number;
}

/** A model that paints 8x8 grey, saves nothing and counts what is asked of it. */
function fake(onImage: (index: number, abort: AbortController) => void = () => undefined) {
  const calls: Calls = { loads: [], requests: [], disposed: 0 };
  async function* stream(mode: string, request: Txt2ImgRequest): AsyncGenerator<GenerateEvent> {
    calls.requests.push({ mode, request });
    const images = request.batchSize ?? 1;
    for (let image = 1; image <= images; image++) {
      onImage(image, abort);
      request.signal?.throwIfAborted();
      const event = { type: 'progress', phase: 'sample', step: 1, total: 1, image, images } as const;
      request.onProgress?.({
        ...event,
        secondsPerStep: 1,
        eta: null,
        bytes: 0,
        totalBytes: 0,
        fraction: image / images,
      });
      const seed = (request.seed ?? 0) + image - 1;
      const pixels = { width: 8, height: 8, channels: 3 as const, data: new Uint8Array(192).fill(image) };
      const infotext = `${request.prompt}\nSteps: 3, Sampler: Heun, Seed: ${String(seed)}, Size: 8x8, Model: fake`;
      const result = new GeneratedImage({ pixels, seed, parameters: { prompt: request.prompt, seed }, infotext });
      yield { type: 'image', image, images, result };
    }
  }
  const model = {
    info: { name: 'fake', architecture: 'SD 1.x' },
    txt2imgStream: (request: Txt2ImgRequest) => stream('txt2img', request),
    img2imgStream: (request: Txt2ImgRequest) => stream('img2img', request),
    inpaintStream: (request: Txt2ImgRequest) => stream('inpaint', request),
    dispose: async () => undefined,
  };
  const { context, out, err, abort } = cliContext({
    createRuntime: async () => ({
      loadModel: async (options) => {
        calls.loads.push(options);
        if (options.checkpoint === 'missing') throw new DiffusionError('ERR_MODEL_NOT_FOUND', 'No such model.');
        return model;
      },
      dispose: async () => {
        calls.disposed += 1;
      },
    }),
  });
  return { context, calls, out, err };
}

describe('generate', () => {
  it('writes the paths alone to stdout, the last one last', async () => {
    const { context, calls, out, err } = fake();
    expect(await runCli(['generate', 'an apple', '-o', file('a.png'), '--seed', '5', '-b', '2'], context)).toBe(0);
    expect(out.text).toBe(`${file('a-1.png')}\n${file('a-2.png')}\n`);
    expect(err.text).toContain('sample 1/1');
    expect(calls.requests[0]).toMatchObject({
      mode: 'txt2img',
      request: { prompt: 'an apple', seed: 5, batchSize: 2 },
    });
    expect(calls.disposed).toBe(1);
    expect(await readInfotext(file('a-2.png'))).toContain('Seed: 6');
  });

  it('prints one JSON object with --json', async () => {
    const { context, out, err } = fake();
    expect(await runCli(['generate', 'x', '-o', file('j.webp'), '--seed', '7', '--json', '--quiet'], context)).toBe(0);
    const result = JSON.parse(out.text) as Record<string, unknown>;
    const image = { path: file('j.webp'), seed: 7, width: 8, height: 8, parameters: { prompt: 'x', seed: 7 } };
    expect(result).toMatchObject({ model: { name: 'fake' }, images: [image] });
    expect(Object.keys(result.timings as object)).toEqual(['load', 'encode', 'sample', 'decode', 'total']);
    expect(err.text).toBe('');
  });

  it('takes defaults from a picture, options first', async () => {
    const made = fake();
    await runCli(['generate', 'a pear', '-o', file('from.png'), '--seed', '9'], made.context);
    const { context, calls, err } = fake();
    expect(
      await runCli(['generate', '--from', file('from.png'), '--steps', '2', '-o', file('again.png')], context),
    ).toBe(0);
    expect(calls.requests[0]?.request).toMatchObject({ prompt: 'a pear', sampler: 'heun', seed: 9, steps: 2 });
    expect(err.text).not.toContain('warning');
  });

  it('finds the files that a picture names: in --model-dir, and beside those named here', async () => {
    const pixels = { width: 8, height: 8, channels: 3 as const, data: new Uint8Array(192) };
    const infotext =
      'x\nSteps: 20, Sampler: Euler, Seed: 5, Size: 64x64, Denoising strength: 0.5, Hires upscale: 2, ' +
      'Hires upscaler: Latent, Hires checkpoint: big [0123456789], Hires Module 1: big-vae, Refiner: fine, ' +
      'Refiner switch at: 0.7, Hires refiner: first pass, Model: fake, Version: v1.10.1';
    await new GeneratedImage({ pixels, seed: 5, parameters: {}, infotext }).save(file('named.png'));
    const [one, two] = ['one', 'two'].map((name) => {
      mkdirSync(file(name));
      return file(name);
    }) as [string, string];
    for (const path of [
      join(one, 'big.ckpt'),
      join(one, 'big.safetensors'),
      join(two, 'fine.gguf'),
      join(two, 'm.safetensors'),
    ])
      writeFileSync(path, '');
    const args = ['generate', '--from', file('named.png'), '-o', file('n.png')];
    const asked = async (more: readonly string[]) => {
      const { context, calls, err } = fake();
      expect(await runCli([...args, ...more], context)).toBe(0);
      return {
        request: calls.requests[0]?.request,
        warnings: err.text.split('\n').filter((line) => line.includes('warning')),
      };
    };
    const none = await asked([]);
    expect(none.request).not.toHaveProperty('refiner');
    expect(none.request?.hires).not.toHaveProperty('checkpoint');
    expect(none.warnings.map((line) => /"([\w-]+)" was not found .* --model-dir/.exec(line)?.[1])).toEqual([
      ...['big', 'fine'],
    ]);
    const some = await asked(['--model-dir', one, '-m', join(two, 'm.safetensors')]);
    expect(some.request?.hires).toMatchObject({ scale: 2, checkpoint: join(one, 'big.safetensors') });
    expect(some.request?.refiner).toEqual({ checkpoint: join(two, 'fine.gguf'), switchAt: 0.7, switchBy: 'timesteps' });
    expect(some.warnings).toHaveLength(1);
    writeFileSync(join(two, 'big-vae.safetensors'), '');
    const all = await asked(['--model-dir', file('nowhere'), '--model-dir', two, '--model-dir', one]);
    expect(all.request?.hires).toMatchObject({ modules: [join(two, 'big-vae.safetensors')] });
    expect(all.warnings).toEqual([]);
    // Options count more than what the picture names.
    const own = await asked([
      '--model-dir',
      two,
      '--model-dir',
      one,
      '--refiner-switch-by',
      'steps',
      '--hires-model',
      'x.gguf',
    ]);
    expect(own.request?.refiner).toMatchObject({ switchAt: 0.7, switchBy: 'steps' });
    expect(own.request?.hires).toMatchObject({ checkpoint: 'x.gguf' });
  });

  it('checks request and output before a model is loaded', async () => {
    const { context, calls, err } = fake();
    expect(await runCli(['generate', 'x', '-o', file('a.bmp')], context)).toBe(2);
    expect(await runCli(['generate', 'x', '-o', file('none/a.png')], context)).toBe(2);
    expect(await runCli(['generate', 'x', '-o', file('a.png'), '--cfg-scale', '1000'], context)).toBe(2);
    expect(await runCli(['generate', '-o', file('a.png')], context)).toBe(2);
    expect(calls.loads).toHaveLength(0);
    const lines = err.text.split('\n');
    expect(lines.filter((line) => line.startsWith('node-diffusion: ERR_INVALID_OPTION: '))).toHaveLength(4);
    expect(lines).toContain('hint: The option is --cfg-scale.');
  });

  it('keeps the pictures that are done and ends with 130 when interrupted', async () => {
    const { context, calls, out, err } = fake((image, abort) => {
      if (image === 2) abort.abort(new DiffusionError('ERR_ABORTED', 'Interrupted.'));
    });
    expect(await runCli(['generate', 'x', '-o', file('i.png'), '-b', '3'], context)).toBe(130);
    expect(out.text).toBe(`${file('i-1.png')}\n`);
    expect(err.text).toContain('node-diffusion: ERR_ABORTED: Interrupted.\n');
    expect(calls.disposed).toBe(1);
  });

  it('reports a failure in JSON too', async () => {
    const { context, out, err } = fake();
    expect(await runCli(['generate', 'x', '-o', file('a.png'), '-m', 'missing', '--json'], context)).toBe(3);
    expect(JSON.parse(out.text)).toEqual({ error: { code: 'ERR_MODEL_NOT_FOUND', message: 'No such model.' } });
    expect(err.text).toBe('node-diffusion: ERR_MODEL_NOT_FOUND: No such model.\n');
  });
});

describe('img2img', () => {
  it('inpaints when there is a mask', async () => {
    const { context, calls } = fake();
    const args = ['img2img', 'x', '--image', 'i.png', '-o', file('m.png')];
    expect(await runCli([...args, '--denoising-strength', '0.5'], context)).toBe(0);
    expect(await runCli([...args, '--mask', 'm.png'], context)).toBe(0);
    expect(calls.requests.map(({ mode }) => mode)).toEqual(['img2img', 'inpaint']);
    expect(calls.requests[0]?.request).toMatchObject({ image: 'i.png', denoisingStrength: 0.5 });
  });

  it('takes the options of masks, of resizing and of variation', async () => {
    const { context, calls, err } = fake();
    const args = ['img2img', 'x', '--image', 'i.png', '-o', file('m.png')];
    const masked = ['--mask', 'm.png', '--mask-blur', '4x2.5', '--mask-invert', '--masked-content', 'latent-noise'];
    const area = ['--inpaint-area', 'only-masked', '--masked-padding', '16', '--no-paste-back', '--resize-mode', 'pad'];
    const variation = ['--variation-seed', '7', '--variation-strength', '0.25'];
    expect(await runCli([...args, ...masked, ...area, ...variation], context)).toBe(0);
    expect(calls.requests[0]?.request).toMatchObject({
      ...{ maskBlur: { x: 4, y: 2.5 }, maskInvert: true, maskedContent: 'latent noise', inpaintArea: 'only masked' },
      ...{ maskedPadding: 16, pasteBack: false, resizeMode: 'pad', variationSeed: 7, variationStrength: 0.25 },
    });
    expect(await runCli([...args, '--mask', 'm.png', '--mask-blur', '4'], context)).toBe(0);
    expect(calls.requests[1]?.request).toMatchObject({ maskBlur: 4 });
    for (const wrong of [
      ['--mask', 'm.png', '--mask-blur', '4x'],
      ['--mask', 'm.png', '--mask-blur', '65'],
      ['--mask', 'm.png', '--masked-content', 'gold'],
      ['--mask-blur', '4'],
    ])
      expect(await runCli([...args, ...wrong], context)).toBe(2);
    expect(err.text).toContain('The option is --mask-blur.');
    expect(calls.requests).toHaveLength(2);
  });

  it('needs a picture', async () => {
    const { context, err } = fake();
    expect(await runCli(['img2img', 'x', '-o', file('m.png')], context)).toBe(2);
    expect(err.text).toContain('--image FILE');
  });

  it('says that a picture for --from is missing with exit code 3, and that it is none with 4', async () => {
    writeFileSync(file('text.png'), 'no picture');
    const { context } = fake();
    expect(await runCli(['generate', '--from', file('nowhere.png'), '-o', file('m.png')], context)).toBe(3);
    expect(await runCli(['generate', '--from', file('text.png'), '-o', file('m.png')], context)).toBe(4);
  });
});

describe('the program', () => {
  it('shows help and version on stdout', async () => {
    for (const args of [['help'], ['--help'], ['help', 'generate'], ['generate', '--help'], ['--version']]) {
      const { context, out, err } = fake();
      expect(await runCli(args, context)).toBe(0);
      expect(out.text).not.toBe('');
      expect(err.text).toBe('');
    }
  });

  it('ends with 2 and a suggestion for unknown commands', async () => {
    const { context, out, err } = fake();
    expect(await runCli(['genrate', 'x'], context)).toBe(2);
    expect(err.text).toContain('Did you mean "generate"?');
    expect(await runCli(['a red apple'], context)).toBe(2);
    expect(err.text).toContain('generate "a red apple"');
    expect(await runCli([], context)).toBe(2);
    expect(out.text).toBe('');
  });

  it('reports what nobody expected with 1', async () => {
    const { context, err } = fake(() => {
      throw new TypeError('broken');
    });
    expect(await runCli(['generate', 'x', '-o', file('a.png')], context)).toBe(1);
    expect(err.text).toContain('node-diffusion: ERR_UNEXPECTED: broken\nhint: ');
  });

  it('prints facts of the embedded model and of a model file', async () => {
    const { context, out } = fake();
    expect(await runCli(['models', '--json'], context)).toBe(0);
    const { embedded } = JSON.parse(out.text) as { embedded: { narrow: { path: string }; concepts: string[] } };
    expect(embedded.concepts).toContain('red apple');
    const inspected = fake();
    expect(await runCli(['inspect', embedded.narrow.path, '--json'], inspected.context)).toBe(0);
    const facts = JSON.parse(inspected.out.text) as Record<string, unknown>;
    expect(facts).toMatchObject({ format: 'safetensors' });
    expect(facts).not.toHaveProperty('tensors');
    const text = fake();
    expect(await runCli(['inspect', embedded.narrow.path, '--tensors'], text.context)).toBe(0);
    expect(text.out.text.split('\n').length).toBeGreaterThan(facts.tensorCount as number);
    expect(await runCli(['inspect', file('no.gguf')], fake().context)).toBe(3);
  });
});

describe('exitCodeOf', () => {
  it('follows the table', () => {
    for (const { code, errors } of exitCodes) {
      for (const error of errors) expect(exitCodeOf(new DiffusionError(error, 'x'))).toBe(code);
    }
    expect(exitCodeOf(new Error('x'))).toBe(1);
    const cause = Object.assign(new Error('x'), { code: 'ENOENT' });
    expect(exitCodeOf(new DiffusionError('ERR_IMAGE_INVALID' satisfies ErrorCode, 'x', { cause }))).toBe(3);
  });
});

describe('outputNames', () => {
  it('numbers a batch from 1', () => {
    expect(outputNames('/x/out.png', 1)).toEqual(['/x/out.png']);
    expect(outputNames('/x.y/out.webp', 2)).toEqual(['/x.y/out-1.webp', '/x.y/out-2.webp']);
  });
});
