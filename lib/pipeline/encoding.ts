import { DiffusionError, invalidOption } from '../errors/index.js';
import { GeneratedImage } from '../image/index.js';
import {
  arrayOf,
  checker,
  type Checker,
  checkOptions,
  integer,
  nullable,
  optional,
  prompt,
  size,
  withDefault,
} from '../options/index.js';
import { admitted } from './admitted.js';
import { Conditioning } from './conditioning.js';
import type { Lease } from './conditioningCache.js';
import type { ModelFacts } from './facts.js';
import { readInputs } from './inputs.js';
import { Latent } from './latent.js';
import { notify } from './listeners.js';
import { emptyShape, untiled } from './measure.js';
import type { PipelineModel } from './modes.js';
import type { DecodedImages } from './operations.js';
import { ProgressTracker } from './progress.js';
import { acquireConditioning, negativeParams, positiveParams } from './prompts.js';
import { resolveTiling } from './sampling.js';
import { inputBytes } from './shape.js';
import { sameSpace } from './space.js';
import { imageInput, jobSpec, promptSpec, tilingSpec } from './spec.js';
import { decodeCost, encodeCost, promptStage } from './stages.js';
import { type GivenPrompt, promptWarnings } from './tokens.js';

export function sizeSpec(facts: ModelFacts) {
  const edge = () => optional(size({ multipleOf: facts.sizeMultiple }));
  return { width: edge(), height: edge() } as const;
}

export function latentValue(): Checker<Latent> {
  return checker('a Latent', (value, field) => {
    if (!(value instanceof Latent))
      throw invalidOption(field, value, 'a Latent', 'Make one with encodeImage, sample or Latent.from.');
    return value;
  });
}

/** Refuses a latent of another VAE. */
export async function checkSpace(latent: Latent, facts: ModelFacts, field: string): Promise<void> {
  if (await sameSpace(latent.space, facts.space)) return;
  const name = ({ family, source }: Latent['space']): string => `${family} space of ${source.path}`;
  const hint = 'Decode it with its own model and encode the picture with this one.';
  throw invalidOption(field, name(latent.space), `a latent in the ${name(facts.space)}`, hint);
}

export async function encodePrompt(model: PipelineModel, given: unknown): Promise<Conditioning> {
  const { facts, queue } = model;
  queue.assertOpen();
  const options = checkOptions('encodePrompt', given, {
    prompt: prompt(),
    negativePrompt: withDefault(nullable(prompt()), ''),
    clipSkip: optional(integer({ min: 1, max: 12 })),
    refImages: optional(arrayOf(imageInput(), { max: 16 })),
    ...promptSpec,
    ...sizeSpec(facts),
    ...jobSpec,
  });
  const { signal, onQueue, clipSkip = -1, negativePrompt, strictPrompt } = options;
  signal?.throwIfAborted();
  const ready = readInputs({ refImages: options.refImages ?? [] }, options, facts, signal);
  ready.catch(() => undefined);
  return queue.enqueue('encodePrompt', { signal, onQueue, ready }, async (scope) => {
    const { width, height, refImages } = await ready;
    await model.weights.apply(undefined, scope, null);
    scope.check();
    const prompts: GivenPrompt[] = [{ field: 'prompt', text: options.prompt }];
    if (negativePrompt !== null) prompts.push({ field: 'negativePrompt', text: negativePrompt });
    const warnings = await promptWarnings(model, scope, prompts, strictPrompt);
    for (const warning of warnings) notify(options.onWarning, warning);
    const parts = { prompt: options.prompt, negativePrompt: negativePrompt ?? '', clipSkip, width, height, refImages };
    const stages = negativePrompt === null ? [promptStage()] : [promptStage(), promptStage()];
    const tracker = new ProgressTracker(stages, 1, options);
    const wanted = [positiveParams(parts), ...(negativePrompt === null ? [] : [negativeParams(parts, facts)])];
    const shape = { ...emptyShape({ width, height }), prompts: wanted, inputBytes: inputBytes(refImages) };
    return admitted(model, scope, shape, untiled, async ({ memoryBudget }) => {
      const leases: Lease[] = [];
      try {
        for (const params of wanted)
          leases.push(
            await tracker.stage((onEvent) => acquireConditioning(model, scope, params, onEvent, memoryBudget)),
          );
        scope.check();
        const [positive, negative] = leases;
        if (positive === undefined) throw new DiffusionError('ERR_ENGINE', 'The prompt was not encoded.');
        return new Conditioning(model.cache, positive, negative, warnings);
      } catch (error) {
        for (const lease of leases) lease.release();
        throw error;
      }
    });
  });
}

export async function encodeImage(model: PipelineModel, given: unknown): Promise<Latent> {
  const { facts, queue, native } = model;
  queue.assertOpen();
  const options = checkOptions('encodeImage', given, {
    image: imageInput(),
    seed: integer({ min: 0, default: 0 }),
    tiling: optional(tilingSpec),
    ...sizeSpec(facts),
    ...jobSpec,
  });
  if (!facts.canEncodeImages) {
    const hint = 'Load the model without vaeDecodeOnly.';
    throw new DiffusionError('ERR_MODEL_UNSUPPORTED', `The VAE's encoder was not loaded. ${hint}`, { hint });
  }
  const { signal, onQueue, seed } = options;
  signal?.throwIfAborted();
  const ready = readInputs({ image: options.image }, options, facts, signal);
  ready.catch(() => undefined);
  return queue.enqueue('encodeImage', { signal, onQueue, ready }, async (scope) => {
    const { image } = await ready;
    await model.weights.apply(undefined, scope, null);
    if (image === null) throw invalidOption('image', null, 'an image');
    const tracker = new ProgressTracker(
      [{ phase: 'encode', image: 0, total: 1, weight: encodeCost(facts) }],
      1,
      options,
    );
    const { width, height } = image;
    const shape = { ...emptyShape({ width, height }), encode: [{ width, height }], inputBytes: inputBytes([image]) };
    return admitted(model, scope, shape, resolveTiling(options.tiling), async ({ tilings, memoryBudget }) => {
      const params = { images: [{ image, mask: null }], seed, tiling: tilings.encode, memoryBudget };
      const [latent] = await tracker.stage((onEvent) => scope.run(() => native.encodeImages(params, onEvent)));
      if (latent === undefined) throw new DiffusionError('ERR_ENGINE', 'The engine returned no latent.');
      return Latent.adopt(latent, facts.space);
    });
  });
}

export async function decodeLatent(model: PipelineModel, given: unknown): Promise<DecodedImages> {
  const { facts, queue, native } = model;
  queue.assertOpen();
  const options = checkOptions('decodeLatent', given, {
    latent: latentValue(),
    tiling: optional(tilingSpec),
    ...jobSpec,
  });
  const { latent, signal, onQueue } = options;
  signal?.throwIfAborted();
  const ready = checkSpace(latent, facts, 'latent');
  ready.catch(() => undefined);
  return queue.enqueue('decodeLatent', { signal, onQueue, ready }, async (scope) => {
    await ready;
    await model.weights.apply(undefined, scope, null);
    const weight = decodeCost(facts);
    const stages = Array.from(
      { length: latent.batch },
      (_, i) => ({ phase: 'decode', image: i + 1, total: 1, weight }) as const,
    );
    const tracker = new ProgressTracker(stages, latent.batch, options);
    const shape = { ...emptyShape(latent), decode: true, pictures: latent.batch };
    return admitted(model, scope, shape, resolveTiling(options.tiling), async ({ tilings, memoryBudget }) => {
      const images: GeneratedImage[] = [];
      for (let index = 0; index < latent.batch; index++) {
        const params = { latent: latent.at(index).toNative(), tiling: tilings.decode, memoryBudget };
        const pixels = await tracker.stage((onEvent) => scope.run(() => native.decodeLatent(params, onEvent)));
        images.push(new GeneratedImage({ pixels, seed: -1, parameters: {}, infotext: '' }));
      }
      return images;
    });
  });
}
