import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createRuntime, ensureEmbeddedModel, type Model, type ModelEvent, type Runtime } from '../../lib/index.js';
import { failure, hashes, threads, tiny } from '../support/native.js';
import { useScratch } from '../support/scratch.js';
import { type SyntheticTensor, writeHollow, writeTruncated, writeWrongShapes } from '../support/synthetic/index.js';

// What is wrong with a hires checkpoint is told before anything is drawn, and nothing else suffers.
const scratch = useScratch(2 ** 28);
const unet = 'model.diffusion_model.';
const lacking = (pattern: RegExp) => (tensors: readonly SyntheticTensor[]) =>
  tensors.filter(({ name }) => !pattern.test(name));
const mixer: SyntheticTensor = {
  ...{ name: `${unet}input_blocks.8.0.time_mixer.mix_factor`, shape: [1], values: { constant: 0 } },
};

/** Each writes the file, whose code and message follow; the message names what is wrong. */
const bad: readonly (readonly [string, (path: string) => Promise<void>, string, RegExp])[] = [
  ['missing', () => Promise.resolve(), 'ERR_MODEL_NOT_FOUND', /bad-0/],
  [
    'truncated',
    async (path) => writeTruncated((await ensureEmbeddedModel()).checkpoint, path, 2 ** 22),
    'ERR_MODEL_CORRUPT',
    /bytes/,
  ],
  [
    'of an architecture that cannot be loaded',
    (path) => writeHollow('sd1-tiny', path, (tensors) => [...tensors, mixer]),
    'ERR_MODEL_UNSUPPORTED',
    /SVD is a video model/,
  ],
  ['with wrong shapes', (path) => writeWrongShapes('sd1-tiny', path), 'ERR_MODEL_CORRUPT', /has shape \[.* needs \[/],
  [
    'with tensors missing in the diffusion model',
    (path) => writeHollow('sd1-tiny', path, lacking(/^model\.diffusion_model\.output_blocks\.2\./)),
    'ERR_MODEL_UNSUPPORTED',
    /\d+ tensors .* missing, first ".*output_blocks\.2\./,
  ],
  [
    'without its text encoder',
    (path) => writeHollow('sd1-tiny', path, lacking(/^cond_stage_model\./)),
    'ERR_MODEL_UNSUPPORTED',
    /text encoder/i,
  ],
  [
    'without its VAE',
    (path) => writeHollow('sd1-tiny', path, lacking(/^first_stage_model\./)),
    'ERR_MODEL_UNSUPPORTED',
    /VAE/,
  ],
  [
    'with half a text encoder',
    (path) => writeHollow('sd1-tiny', path, lacking(/text_model\.encoder\.layers\.7\./)),
    'ERR_MODEL_UNSUPPORTED',
    /\d+ tensors .* missing, first ".*layers\.7\./,
  ],
];

describe.each(['none', 'process'] as const)('a hires checkpoint, isolation %s', (isolation) => {
  let runtime: Runtime;
  let model: Model;
  let expected: string[];
  beforeAll(async () => {
    for (const [index, [, write]] of bad.entries()) await write(scratch.path(`bad-${String(index)}.safetensors`));
    runtime = await createRuntime({ backend: 'cpu', threads, isolation });
    model = await runtime.loadModel({ mmap: true });
    expected = hashes(await model.txt2img(tiny));
  });
  afterAll(() => runtime.dispose());

  it.each(bad)(
    '%s: a typed error before the first step, and the picture of before',
    async (name, _write, code, says) => {
      const index = bad.findIndex(([other]) => other === name);
      const checkpoint = scratch.path(`bad-${String(index)}.safetensors`);
      const request = { ...tiny, hires: { width: 128, height: 64, steps: 1, denoisingStrength: 0.6, checkpoint } };
      const seen: string[] = [];
      const error = await failure(
        model.txt2img({
          ...request,
          onProgress: ({ phase }) => void seen.push(phase),
          onModel: ({ action }: ModelEvent) => void seen.push(action),
        }),
      );
      expect({ code: error.code, message: error.message }).toEqual({ code, message: expect.stringMatching(says) });
      expect(error.field).toMatch(/^hires\.(?:checkpoint|modules)/);
      expect(error.message).toContain(`bad-${String(index)}`);
      expect(seen).toEqual([]);
      // Planning says the same.
      expect(await failure(model.plan(request))).toMatchObject({ code, message: error.message });
      expect(runtime.models).toEqual([model]);
      expect(hashes(await model.txt2img(tiny))).toEqual(expected);
    },
  );
});
