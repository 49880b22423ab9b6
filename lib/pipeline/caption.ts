import { buildInfotext, GeneratedImage, type InfotextModel, type InfotextParams } from '../image/index.js';
import type { ModelFacts } from './facts.js';
import type { Finish } from './generate.js';
import { maskingFields } from './inpaint/settings.js';
import type { Plan } from './plan.js';

type CaptionRequest = Omit<InfotextParams, keyof InfotextModel> & { readonly mode: string };

/**
 * The request that makes one image of a plan again, defaults filled in; what has no effect is left out. Pictures and
 * listeners are not part of it.
 */
export function requestOf(plan: Plan, index: number, facts: ModelFacts): CaptionRequest {
  const [pass] = plan.passes;
  const { sampling, resizeMode = 'stretch' } = pass;
  const { skipLayers, stepCache } = sampling;
  const set = (condition: boolean, values: Partial<CaptionRequest>): Partial<CaptionRequest> =>
    condition ? values : {};
  const tile = plan.tiling;
  return {
    mode: pass.mode,
    prompt: plan.taggedPrompt,
    negativePrompt: plan.negativePrompt,
    width: pass.width,
    height: pass.height,
    steps: sampling.steps,
    cfgScale: sampling.cfgScale,
    sampler: sampling.sampler,
    ...(sampling.sigmas === null ? { schedule: sampling.schedule } : { sigmas: Array.from(sampling.sigmas) }),
    seed: plan.seeds[index] ?? sampling.seed,
    ...variationFields(plan, index),
    ...set(plan.clipSkip > 0, { clipSkip: plan.clipSkip }),
    ...set(!Number.isNaN(sampling.eta), { eta: sampling.eta }),
    ...set(sampling.imageCfgScale !== sampling.cfgScale, { imageCfgScale: sampling.imageCfgScale }),
    ...set(facts.isDit, { guidance: sampling.guidance }),
    ...set(!Number.isNaN(sampling.flowShift), { flowShift: sampling.flowShift }),
    ...set(skipLayers.scale !== 0, { skipLayerGuidance: skipLayers }),
    ...set(stepCache.mode !== 'none', { stepCache }),
    ...set(tile.enabled, {
      tiling: tile.tileSizeX > 0 ? { tileSize: { x: tile.tileSizeX, y: tile.tileSizeY }, overlap: tile.overlap } : true,
    }),
    ...(pass.denoisingStrength === null ? {} : { denoisingStrength: pass.denoisingStrength }),
    ...(resizeMode === 'stretch' ? {} : { resizeMode }),
    ...(pass.masking === undefined ? {} : maskingFields(pass.masking)),
    ...set(facts.hasControlNet, { controlStrength: sampling.controlStrength }),
  };
}

function variationFields({ variation }: Plan, index: number): Partial<CaptionRequest> {
  const variationSeed = variation?.seeds[index];
  if (variation === null || variationSeed === undefined) return {};
  return { variationSeed, variationStrength: variation.strength };
}

/** Makes the images of a plan, each with the request that makes it again and A1111's text of it. */
export function finisher(
  plan: Plan,
  facts: ModelFacts,
  model: InfotextModel,
  extra: Readonly<Record<string, string>> = {},
): Finish {
  return (pixels, index) => {
    const { mode, ...request } = requestOf(plan, index, facts);
    const infotext = buildInfotext({ ...request, ...model, extra });
    return new GeneratedImage({ pixels, seed: request.seed, parameters: { mode, ...request }, infotext });
  };
}
