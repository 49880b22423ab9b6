import type { ModelFacts } from './facts.js';
import type { EncodePlan } from './latents.js';
import { evaluations, needsUncond, type Plan } from './plan.js';
import type { Stage } from './progress.js';
import { effectiveSteps } from './steps.js';

/** Cost in evaluations of the diffusion model at the same size, as measured on a CPU (SD1.5; the tiny coder: nano). */
const cost = { loras: 0.3, prompt: 0.4, encodeImage: 2, decode: 4, tinyCoder: 0.6 };

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

/** Stages of a picture job in the order in which `generate` goes through them. */
export function generateStages(plan: Plan, encoding: EncodePlan, facts: ModelFacts, changesLoras = false): Stage[] {
  const { sampling, denoisingStrength } = plan.passes[0];
  const stages: Stage[] = changesLoras ? [loraStage()] : [];
  const count = encoding.items.length;
  if (count > 0) stages.push({ phase: 'encode', image: 0, total: count, weight: count * encodeCost(facts) });
  stages.push(promptStage());
  if (needsUncond(sampling)) stages.push(promptStage());
  const steps = effectiveSteps(sampling.steps, denoisingStrength ?? undefined);
  for (const index of plan.seeds.keys()) {
    const image = index + 1;
    stages.push({ phase: 'sample', image, total: steps, weight: steps * evaluations(sampling) });
    stages.push({ phase: 'decode', image, total: 1, weight: decodeCost(facts) });
  }
  return stages;
}
