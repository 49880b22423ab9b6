import type { ModelFacts } from './facts.js';
import { distinct, type JobModels, modelsOfJob, servedBy } from './models.js';
import type { PassJob } from './pass.js';
import { evaluations, needsUncond, type Pass } from './plan.js';
import type { Stage } from './progress.js';
import type { ModelContext } from './prompts.js';
import { passSteps } from './steps.js';

/** Cost in evaluations of the diffusion model at the same size, as measured on a CPU (SD1.5; the tiny coder: nano). */
const cost = { load: 3, upscale: 8, loras: 0.3, prompt: 0.4, encodeImage: 2, decode: 4, tinyCoder: 0.6 };

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
export function generateStages(passes: readonly PassJob[], models: JobModels): Stage[] {
  const stages: Stage[] = [];
  const loaded = new Set([...modelsOfJob(models)].filter((model) => model.presence?.loaded !== false));
  const sets = new Map<ModelContext, string>();
  for (const { pass, models: own, encoding, decoder } of passes) {
    for (const model of distinct(own)) {
      if (loaded.has(model)) continue;
      loaded.add(model);
      stages.push(loadStage());
    }
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
    const pixels = passes[0]?.pass ?? pass;
    const larger = (pass.width * pass.height) / (pixels.width * pixels.height);
    for (const index of pass.seeds.keys()) {
      const image = index + 1;
      stages.push(...startStages(pass, own.vae, image, larger));
      if (steps > 0)
        stages.push({ phase: 'sample', image, total: steps, weight: larger * steps * evaluations(pass.sampling) });
      if (decoder !== null)
        stages.push({ phase: 'decode', image, total: 1, weight: larger * decodeCost(decoder.facts) });
    }
  }
  return stages;
}

/** A latent is enlarged at no cost worth telling; pixels are enlarged, then encoded. */
function startStages({ start }: Pass, vae: ModelContext, image: number, larger: number): Stage[] {
  if (!start?.encodes) return [];
  const encode: Stage = { phase: 'encode', image, total: 1, weight: larger * encodeCost(vae.facts) };
  const { kind } = start.upscaler;
  if (kind === 'latent') return [encode];
  return [{ phase: 'upscale', image, total: 1, weight: kind === 'model' ? cost.upscale * larger : 0.1 }, encode];
}
