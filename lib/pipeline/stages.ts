import { emptySet } from '../weights/index.js';
import type { ModelFacts } from './facts.js';
import type { PassGroup, Weighty } from './groups.js';
import { distinct, type JobModels, modelsOfJob, servedBy } from './models.js';
import type { PassJob } from './pass.js';
import { evaluations, needsUncond, type Pass } from './plan.js';
import type { Stage } from './progress.js';
import type { ModelContext } from './prompts.js';
import { passSteps } from './steps.js';

/** Cost in evaluations of the diffusion model at the same size, as measured on a CPU (SD1.5; the tiny coder: nano). */
const cost = {
  load: 3,
  loadUpscaler: 0.3,
  upscale: 8,
  loras: 0.3,
  prompt: 0.4,
  encodeImage: 2,
  decode: 4,
  tinyCoder: 0.6,
};

export function encodeCost(facts: Pick<ModelFacts, 'usesTaesd'>): number {
  return facts.usesTaesd ? cost.tinyCoder : cost.encodeImage;
}

export function decodeCost(facts: Pick<ModelFacts, 'usesTaesd'>): number {
  return facts.usesTaesd ? cost.tinyCoder : cost.decode;
}

export function promptStage(): Stage {
  return { phase: 'encode', image: 0, total: 1, weight: cost.prompt };
}

/** A change of the LoRAs in the weights. */
export function loraStage(): Stage {
  return { phase: 'lora', image: 0, total: 1, weight: cost.loras };
}

/** Weights that are read from files. */
function loadStage(): Stage {
  return { phase: 'load', image: 0, total: 0, weight: cost.load };
}

/** Stages of a picture job in the order in which `generate` goes through them. */
export function generateStages(passes: readonly PassJob[], models: JobModels, groups: readonly PassGroup[]): Stage[] {
  const stages: Stage[] = [];
  const { upscaler } = models;
  const all: readonly Weighty[] = [...modelsOfJob(models), ...(upscaler === undefined ? [] : [upscaler])];
  const loaded = new Set(all.filter(({ presence }) => presence?.loaded !== false));
  const sets = new Map<ModelContext, string>();
  const larger = ({ width, height }: Pass): number => {
    const pixels = passes[0]?.pass;
    return pixels === undefined ? 1 : (width * height) / (pixels.width * pixels.height);
  };
  /** What is not there is read before the first pass of its group. */
  const loadStages = (group: PassGroup | undefined): Stage[] => {
    const missing = [...(group?.weights ?? [])].filter((one) => !loaded.has(one));
    for (const one of missing) loaded.add(one);
    return missing.map((one) => ({ ...loadStage(), weight: one === upscaler ? cost.loadUpscaler : cost.load }));
  };
  for (const [index, { pass, models: own, encoding, decoder }] of passes.entries()) {
    const apart = groups.find(({ enlarges }) => enlarges === index);
    if (apart !== undefined) {
      stages.push(...loadStages(apart));
      for (const image of pass.seeds.keys()) stages.push(...enlargeStages(pass, image + 1, larger(pass)));
      // The models of the pass before have left for it.
      for (const model of modelsOfJob(models)) {
        loaded.delete(model);
        sets.set(model, emptySet.key);
      }
    }
    stages.push(...loadStages(groups.find(({ indices }) => indices[0] === index)));
    for (const model of distinct(own)) {
      const { weights } = model;
      const set = weights.keyOf(pass.loras);
      const before = sets.get(model);
      const isCurrent = before === undefined ? weights.isCurrent(pass.loras, servedBy(model, own)) : before === set;
      if (!isCurrent) stages.push(loraStage());
      sets.set(model, set);
    }
    const count = encoding.items.length;
    if (count > 0) stages.push({ phase: 'encode', image: 0, total: count, weight: count * encodeCost(own.vae.facts) });
    stages.push(promptStage());
    if (needsUncond(pass.sampling)) stages.push(promptStage());
    const steps = passSteps(pass);
    const share = larger(pass);
    for (const place of pass.seeds.keys()) {
      const image = place + 1;
      if (apart === undefined) stages.push(...enlargeStages(pass, image, share));
      stages.push(...encodeStages(pass, own.vae, image, share));
      if (steps > 0)
        stages.push({ phase: 'sample', image, total: steps, weight: share * steps * evaluations(pass.sampling) });
      if (decoder !== null)
        stages.push({ phase: 'decode', image, total: 1, weight: share * decodeCost(decoder.facts) });
    }
  }
  return stages;
}

/** A latent is enlarged at no cost worth telling. */
function enlargeStages({ start }: Pass, image: number, larger: number): Stage[] {
  if (!start?.encodes || start.upscaler.kind === 'latent') return [];
  const weight = start.upscaler.kind === 'model' ? cost.upscale * larger : 0.1;
  return [{ phase: 'upscale', image, total: 1, weight }];
}

function encodeStages({ start }: Pass, vae: ModelContext, image: number, larger: number): Stage[] {
  return start?.encodes ? [{ phase: 'encode', image, total: 1, weight: larger * encodeCost(vae.facts) }] : [];
}
