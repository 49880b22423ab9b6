import { invalidOption } from '../errors/index.js';
import {
  checker,
  checkOptions,
  floatArray,
  integer,
  number,
  optional,
  arrayOf,
  samplerName,
  scheduleName,
} from '../options/index.js';
import type { NativeTensor } from '../native/index.js';
import { admitted } from './admitted.js';
import { checkConcat, type GivenConcat, withConcat } from './concat.js';
import { Conditioning } from './conditioning.js';
import { checkSpace, latentValue, sizeSpec } from './encoding.js';
import { defaultSchedule, type ModelFacts } from './facts.js';
import { checkImages, readInputs } from './inputs.js';
import { Latent } from './latent.js';
import { planEncoding, prepareLatents, type PreparedLatents } from './latents.js';
import type { PipelineModel } from './modes.js';
import { evaluations, needsUncond } from './plan.js';
import { resolvePreview } from './preview.js';
import { ProgressTracker } from './progress.js';
import { positiveParams } from './prompts.js';
import { sampleParams } from './sampleParams.js';
import { resolveSampling } from './sampling.js';
import { emptyShape } from './measure.js';
import { inputBytes } from './shape.js';
import { jobSpec, samplingSpec } from './spec.js';
import { effectiveSteps, img2imgSigmas } from './steps.js';

const conditioningValue = checker('a Conditioning', (value, field) => {
  if (!(value instanceof Conditioning))
    throw invalidOption(field, value, 'a Conditioning', 'Make one with encodePrompt.');
  return value;
});

export async function sampleLatent(model: PipelineModel, given: unknown): Promise<Latent> {
  const { facts, queue, native } = model;
  queue.assertOpen();
  const options = checkOptions('sample', given, {
    conditioning: conditioningValue,
    latent: optional(latentValue()),
    noise: optional(latentValue()),
    denoisingStrength: number({ min: 0, max: 1, default: 1 }),
    mask: optional(floatArray()),
    concat: optional(floatArray()),
    uncondConcat: optional(floatArray()),
    refLatents: optional(arrayOf(latentValue(), { max: 16 })),
    ...sizeSpec(facts),
    ...samplingSpec(facts),
  });
  const { signal, onQueue, conditioning, noise, refLatents = [], denoisingStrength } = options;
  const width = options.latent?.width ?? options.width ?? facts.defaults.width;
  const height = options.latent?.height ?? options.height ?? facts.defaults.height;
  const latent = options.latent ?? Latent.zeros(width, height, facts.space);
  checkShapes(latent, noise, options.mask, options, facts);
  checkConcat(options, latent, facts);
  checkImages({ ...(options.controlImage === undefined ? {} : { controlImage: options.controlImage }) }, facts);
  const sampling = resolveSampling(options, facts);
  if (needsUncond(sampling) && !conditioning.hasNegative) {
    throw invalidOption(
      'cfgScale',
      sampling.cfgScale,
      '1 for a conditioning without a negative prompt',
      'Encode it with a negativePrompt, or pass cfgScale: 1.',
    );
  }
  const preview = resolvePreview(options.preview, options.onPreview !== undefined, facts);
  signal?.throwIfAborted();
  const pictures = options.controlImage === undefined ? {} : { controlImage: options.controlImage };
  const ready = Promise.all([
    readInputs(pictures, { width, height }, facts, signal),
    checkSpace(latent, facts, 'latent'),
    noise === undefined ? undefined : checkSpace(noise, facts, 'noise'),
    ...refLatents.map((ref, index) => checkSpace(ref, facts, `refLatents[${String(index)}]`)),
  ]);
  ready.catch(() => undefined);
  return queue.enqueue('sample', { signal, onQueue, ready }, async (scope) => {
    const [inputs] = await ready;
    await model.weights.apply(undefined, scope, null);
    scope.check();
    const uncond = needsUncond(sampling);
    const placeholder = positiveParams({ prompt: '', negativePrompt: '', clipSkip: -1, width, height, refImages: [] });
    const shape = {
      ...emptyShape({ width, height }),
      prompts: uncond ? [placeholder, placeholder] : [placeholder],
      sample: true,
      conditioned: true,
      imageGuidance: sampling.imageCfgScale !== sampling.cfgScale,
      control: facts.hasControlNet && inputs.controlImage !== null,
      controlStrength: sampling.controlStrength,
      references: facts.isDit ? refLatents.map((ref) => ({ width: ref.width, height: ref.height })) : [],
      preview: preview.mode,
      inputBytes: inputBytes([inputs.controlImage]),
    };
    return admitted(model, scope, shape, 'auto', async ({ tilings, memoryBudget }) => {
      const { positive, negative, done } = conditioning.use(model.cache);
      try {
        const { steps, sampler, schedule, flowShift } = sampling;
        const all =
          sampling.sigmas ??
          (await scope.run(() => native.sigmas({ steps, schedule, sampler, width, height, flowShift })));
        const sigmas = img2imgSigmas(all, denoisingStrength);
        const extras = extrasOf({ width, height }, facts, options);
        const count = effectiveSteps(steps, denoisingStrength);
        const weight = count * evaluations(sampling);
        const stages = Array.from(
          { length: latent.batch },
          (_, i) => ({ phase: 'sample', image: i + 1, total: count, weight }) as const,
        );
        const tracker = new ProgressTracker(stages, latent.batch, options);
        const results: Latent[] = [];
        for (let index = 0; index < latent.batch; index++) {
          const params = sampleParams({
            cond: positive,
            uncond: uncond ? negative : null,
            latents: {
              ...extras,
              latent: latent.at(index).toNative(),
              refLatents: refLatents.map((ref) => ref.toNative()),
            },
            noise: noise?.at(index).toNative() ?? null,
            seed: sampling.seed + index,
            sigmas,
            controlImage: facts.hasControlNet ? inputs.controlImage : null,
            sampling,
            preview,
            previewTiling: tilings.decode,
            memoryBudget,
          });
          const sampled = await tracker.stage((onEvent) => scope.run(() => native.sample(params, onEvent)));
          results.push(Latent.adopt(sampled, facts.space));
        }
        return results.length === 1 && results[0] !== undefined ? results[0] : Latent.concat(results);
      } finally {
        void scope.idle().then(done);
      }
    });
  });
}

/** Noise levels of a schedule: steps + 1 numbers, decreasing, the last 0. */
export async function sigmasOf(model: PipelineModel, given: unknown): Promise<Float32Array> {
  const { facts, queue, native } = model;
  queue.assertOpen();
  const options = checkOptions('sigmas', given, {
    steps: integer({ min: 1, max: 1000, default: facts.defaults.steps }),
    sampler: optional(samplerName()),
    schedule: optional(scheduleName()),
    flowShift: optional(number({ min: 1e-6, max: 1000 })),
    ...sizeSpec(facts),
    signal: jobSpec.signal,
    onQueue: jobSpec.onQueue,
  });
  const {
    steps,
    signal,
    onQueue,
    flowShift = NaN,
    width = facts.defaults.width,
    height = facts.defaults.height,
  } = options;
  const sampler = options.sampler?.sampler ?? facts.defaultSampler;
  const schedule = options.schedule ?? options.sampler?.schedule ?? defaultSchedule(facts, sampler);
  return queue.enqueue('sigmas', { signal, onQueue }, (scope) =>
    scope.run(() => native.sigmas({ steps, schedule, sampler, width, height, flowShift })),
  );
}

/** What models read beside the latent: the given values, or those of a request without pictures. */
function extrasOf(
  pass: { readonly width: number; readonly height: number },
  facts: ModelFacts,
  given: GivenConcat & { readonly mask?: Float32Array },
): Omit<PreparedLatents, 'latent' | 'refLatents'> {
  const nothing = { image: null, mask: null, controlImage: null, refImages: [] };
  const { concat, uncondConcat } = prepareLatents(pass, nothing, facts, planEncoding(pass, nothing, facts), []);
  const f = facts.scaleFactor;
  const cells: NativeTensor | null =
    given.mask === undefined ? null : { shape: [1, 1, pass.height / f, pass.width / f], data: given.mask };
  return withConcat({ concat, uncondConcat, mask: cells }, given);
}

function checkShapes(
  latent: Latent,
  noise: Latent | undefined,
  mask: Float32Array | undefined,
  size: { readonly width?: number; readonly height?: number },
  facts: ModelFacts,
): void {
  for (const edge of ['width', 'height'] as const) {
    const wanted = size[edge];
    if (wanted !== undefined && wanted !== latent[edge]) {
      throw invalidOption(
        edge,
        wanted,
        `${String(latent[edge])}, the ${edge} of the latent`,
        'Leave it out when a latent is given.',
      );
    }
    if (latent[edge] % facts.sizeMultiple !== 0) {
      throw invalidOption(
        'latent',
        `${String(latent[edge])} pixels ${edge}`,
        `a ${edge} in multiples of ${String(facts.sizeMultiple)} pixels`,
      );
    }
  }
  if (noise !== undefined && noise.shape.join() !== latent.shape.join()) {
    throw invalidOption(
      'noise',
      `shape [${noise.shape.join(', ')}]`,
      `the latent's shape [${latent.shape.join(', ')}]`,
    );
  }
  const cells = latent.shape[2] * latent.shape[3];
  if (mask !== undefined && mask.length !== cells) {
    throw invalidOption('mask', `${String(mask.length)} numbers`, `${String(cells)} numbers, one per latent cell`);
  }
  const outside = mask?.findIndex((value) => value < 0 || value > 1) ?? -1;
  if (outside >= 0) throw invalidOption(`mask[${String(outside)}]`, mask?.[outside], 'numbers from 0 to 1');
}
