import { buildInfotext, GeneratedImage, type InfotextHires, type InfotextParams } from '../image/index.js';
import type { PreparedSet } from '../weights/index.js';
import type { Drafted } from './draft.js';
import type { ModelFacts } from './facts.js';
import type { Finish } from './generate.js';
import type { CheckedHires } from './hires/resolve.js';
import { maskingFields } from './inpaint/settings.js';
import { modelOf } from './models.js';
import { type Pass, type Plan, runsOf } from './plan.js';
import type { CheckedRefiner } from './refiner/spec.js';

type CaptionRequest = Omit<InfotextParams, 'extra' | 'generator'> & { readonly mode: string };

const when = <T extends object>(condition: boolean, values: T): Partial<T> => (condition ? values : {});

/**
 * The request that makes one image of a first pass again, defaults filled in; what has no effect is left out. Pictures
 * and listeners are not part of it.
 */
export function requestOf(
  [pass, refined = pass]: readonly [Pass, ...Pass[]],
  index: number,
  facts: ModelFacts,
  refiner: CheckedRefiner | undefined,
): CaptionRequest {
  const { sampling } = pass;
  const { skipLayers, stepCache } = sampling;
  const tile = refined.tiling;
  return {
    mode: pass.mode,
    prompt: pass.taggedPrompt,
    negativePrompt: pass.negativePrompt,
    width: pass.width,
    height: pass.height,
    steps: sampling.steps,
    cfgScale: sampling.cfgScale,
    sampler: sampling.sampler,
    ...(sampling.sigmas === null ? { schedule: sampling.schedule } : { sigmas: Array.from(sampling.sigmas) }),
    seed: pass.seeds[index] ?? sampling.seed,
    ...variationFields(pass, index),
    ...when(pass.clipSkip > 0, { clipSkip: pass.clipSkip }),
    ...when(!Number.isNaN(sampling.eta), { eta: sampling.eta }),
    ...when(sampling.imageCfgScale !== sampling.cfgScale, { imageCfgScale: sampling.imageCfgScale }),
    ...when(facts.isDit, { guidance: sampling.guidance }),
    ...when(!Number.isNaN(sampling.flowShift), { flowShift: sampling.flowShift }),
    ...when(skipLayers.scale !== 0, { skipLayerGuidance: skipLayers }),
    ...when(stepCache.mode !== 'none', { stepCache }),
    ...when(tile.enabled, {
      tiling: tile.tileSizeX > 0 ? { tileSize: { x: tile.tileSizeX, y: tile.tileSizeY }, overlap: tile.overlap } : true,
    }),
    ...(pass.denoisingStrength === null ? {} : { denoisingStrength: pass.denoisingStrength }),
    ...when(pass.resizeMode !== 'stretch', { resizeMode: pass.resizeMode }),
    ...(pass.masking === null ? {} : maskingFields(pass.masking)),
    ...when(facts.hasControlNet, { controlStrength: sampling.controlStrength }),
    ...(refiner === undefined ? {} : { refiner }),
  };
}

function variationFields({ variation }: Pass, index: number): Partial<CaptionRequest> {
  const variationSeed = variation?.seeds[index];
  if (variation === null || variationSeed === undefined) return {};
  return { variationSeed, variationStrength: variation.strength };
}

/** What makes the first pass, so far as the second is told by how it differs. */
type FirstPass = Pick<CaptionRequest, 'prompt' | 'negativePrompt' | 'cfgScale' | 'sampler' | 'schedule' | 'seed'>;

/** The options that make a second pass again. A checkpoint has defaults of its own, so then nothing is left out. */
export function hiresOf(
  pass: Pass,
  first: FirstPass,
  index: number,
  hires: CheckedHires,
  facts: ModelFacts,
): InfotextHires {
  const { start, sampling } = pass;
  const { checkpoint, modules, scale, width, height } = hires;
  const other = checkpoint !== undefined;
  const seed = pass.seeds[index] ?? sampling.seed;
  const upscaler = start?.upscaler;
  const sampler = other || sampling.sampler !== first.sampler;
  const sized = width !== undefined || height !== undefined;
  return {
    ...(sized ? { width: pass.width, height: pass.height } : { scale: scale ?? 2 }),
    ...(upscaler === undefined
      ? {}
      : {
          upscaler: upscaler.kind === 'model' ? { file: upscaler.file, tileSize: upscaler.tileSize } : upscaler.label,
        }),
    steps: sampling.steps,
    denoisingStrength: pass.denoisingStrength ?? 1,
    ...when(pass.taggedPrompt !== first.prompt, { prompt: pass.taggedPrompt }),
    ...when(pass.negativePrompt !== first.negativePrompt, { negativePrompt: pass.negativePrompt }),
    ...when(sampler, { sampler: sampling.sampler }),
    // Another sampler would bring a schedule of its own.
    ...when(sampler || sampling.schedule !== first.schedule, { schedule: sampling.schedule }),
    ...when(other || sampling.cfgScale !== first.cfgScale, { cfgScale: sampling.cfgScale }),
    ...when(facts.isDit, { guidance: sampling.guidance }),
    ...when(hires.clipSkip !== undefined, { clipSkip: pass.clipSkip }),
    ...when(seed !== first.seed, { seed }),
    ...(checkpoint === undefined ? {} : { checkpoint }),
    ...(modules === undefined ? {} : { modules }),
    ...(hires.refiner === undefined ? {} : { refiner: hires.refiner }),
  };
}

/** As A1111 writes them. */
function loraHashes(sets: readonly (PreparedSet | undefined)[]): Readonly<Record<string, string>> {
  const hashes = new Map(sets.flatMap((set) => set?.loras ?? []).map(({ lora, file }) => [lora.name, file.shortHash]));
  if (hashes.size === 0) return {};
  return { 'Lora hashes': [...hashes].map(([name, hash]) => `${name}: ${hash}`).join(', ') };
}

/** Makes the images of a plan, each with the request that makes it again and A1111's text of it. */
export function finisher(plan: Plan, { models, hires, refiner, starts }: Omit<Drafted, 'plan'>): Finish {
  const { describe } = models.first;
  const sets = plan.passes.map(({ loras, parts }) => loras ?? modelOf(parts.diffusionModel, models).weights.baseSet);
  return (pixels, index) => {
    const [head = plan.passes, next] = runsOf(plan);
    // A job that begins with pictures goes on from the request that made them.
    const given = starts?.[index]?.request as CaptionRequest | undefined;
    const first = given ?? requestOf(head, index, models.first.facts, refiner);
    const [second] = (given === undefined ? next : head) ?? [];
    const { mode, ...request } = {
      ...first,
      ...(second === undefined || hires === undefined
        ? {}
        : { hires: hiresOf(second, first, index, hires, modelOf(second.parts.diffusionModel, models).facts) }),
    };
    const extra = loraHashes(sets);
    const infotext = buildInfotext({ ...request, ...describe(), extra });
    return new GeneratedImage({ pixels, seed: request.seed, parameters: { mode, ...request }, infotext });
  };
}
