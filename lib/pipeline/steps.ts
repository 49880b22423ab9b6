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
 * Steps to ask the schedule for so that a hires pass really runs `steps` of them: A1111 divides by the strength, where
 * plain img2img runs only that part of the steps. The engine's f32 arithmetic (`generate_image`).
 * @param strength above 0, up to 1.
 */
export function hiresSteps(steps: number, strength: number): number {
  return Math.max(1, Math.trunc(Math.fround(steps / Math.fround(strength))));
}

/** Noise levels that a pass runs through; `schedule` gives those of a whole schedule. */
export async function passSigmas(
  { start, sampling, denoisingStrength }: Pick<Pass, 'start' | 'sampling' | 'denoisingStrength'>,
  schedule: (steps: number) => Promise<Float32Array>,
): Promise<Float32Array> {
  const { steps, sigmas } = sampling;
  const whole = start === null || denoisingStrength === null ? steps : hiresSteps(steps, denoisingStrength);
  const all = sigmas ?? (await schedule(whole));
  return denoisingStrength === null ? all : img2imgSigmas(all, denoisingStrength);
}

/** Steps that a pass really runs. */
export function passSteps({ start, sampling, denoisingStrength }: Pass): number {
  const strength = denoisingStrength ?? undefined;
  const whole = start === null || strength === undefined ? sampling.steps : hiresSteps(sampling.steps, strength);
  return effectiveSteps(whole, strength);
}
