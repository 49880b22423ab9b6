import { hiresSigmas, hiresSteps } from './hires/steps.js';
import type { Pass } from './plan.js';

/**
 * Number of steps that img2img goes back into the noise: the engine's `t_enc`, in its f32 arithmetic
 * (`prepare_image_generation_latents` of stable-diffusion.cpp). One more step than this is run.
 */
export function encodeSteps(steps: number, strength: number): number {
  const count = Math.trunc(Math.fround(steps * Math.fround(strength)));
  return count === steps ? count - 1 : count;
}

/**
 * Noise levels that img2img runs through: the last `t_enc + 2` of the schedule. Strength 1 keeps all of them.
 * @param sigmas decreasing, last 0; length steps + 1.
 * @param strength 0..1.
 */
export function img2imgSigmas(sigmas: Float32Array, strength: number): Float32Array {
  if (strength >= 1) return sigmas;
  const steps = sigmas.length - 1;
  return sigmas.slice(steps - encodeSteps(steps, strength) - 1);
}

/** Steps that are really run. */
export function effectiveSteps(steps: number, strength: number | undefined): number {
  return strength === undefined || strength >= 1 ? steps : encodeSteps(steps, strength) + 1;
}

/**
 * Noise levels that a pass runs through; `schedule` gives those of a whole schedule. One level: nothing is sampled.
 */
export async function passSigmas(
  { start, sampling, denoisingStrength }: Pick<Pass, 'start' | 'sampling' | 'denoisingStrength'>,
  schedule: (steps: number) => Promise<Float32Array>,
): Promise<Float32Array> {
  const { steps, sigmas } = sampling;
  if (start === null || denoisingStrength === null) {
    const all = sigmas ?? (await schedule(steps));
    return denoisingStrength === null ? all : img2imgSigmas(all, denoisingStrength);
  }
  const asked = hiresSteps(steps, denoisingStrength);
  return asked.total === 0 ? Float32Array.of(0) : hiresSigmas(await schedule(asked.total), asked);
}

/** Steps that a pass really runs. */
export function passSteps(pass: Pass): number {
  return pass.span === null ? runSteps(pass) : pass.span.to - pass.span.from;
}

/** Steps of the run that a pass begins. */
export function runSteps({
  start,
  sampling,
  denoisingStrength,
}: Pick<Pass, 'start' | 'sampling' | 'denoisingStrength'>): number {
  if (start === null) return effectiveSteps(sampling.steps, denoisingStrength ?? undefined);
  return hiresSteps(sampling.steps, denoisingStrength ?? 1).steps;
}
