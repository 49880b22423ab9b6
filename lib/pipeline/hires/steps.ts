import { invalidOption } from '../../errors/index.js';
import { img2imgSigmas } from '../steps.js';

/** Noise levels of a second pass: `total` steps are asked of the schedule, the first `skip` of them are left out. */
export interface HiresSteps {
  /** For `native.sigmas`; 0: nothing is sampled. */
  readonly total: number;
  /** Levels to drop from the front of the `total` + 1. */
  readonly skip: number;
  /** Evaluations that are run: total - skip. */
  readonly steps: number;
}

/** A1111 starts a second pass of full strength on the first level of its schedule, as if this were the strength. */
const most = 0.999;

/** Steps of a schedule that the addon takes. */
const longest = 10_000;

/**
 * Steps of a second pass, after A1111 1.10 (`setup_img2img_steps` of `modules/sd_samplers_common.py`, which a hires pass
 * calls with its own steps): the schedule has int(steps / min(strength, 0.999)) steps and the last `steps` of them are
 * run. So a person who asks for 10 steps gets 10, whatever the strength; plain img2img runs a part of them.
 *
 * sd-cli (`generate_image` of the engine's `src/stable-diffusion.cpp`) has T = int(steps / s) in 32 bits, then cuts as
 * img2img does: it runs int(T * s) + 1 steps, at most T. That is one more than `steps` where T * s is `steps` again and
 * s < 1 (10 at 0.5 run 11), else `steps` (4 at 0.6). 32 bits can make its T one less (9 at 0.3: 29). Its strength is at
 * least 0.0001, its sizes are round(edge * scale), one edge alone makes a square, and both are rounded up to the
 * model's multiple.
 *
 * @param asked steps, an integer from 1.
 * @param strength denoising strength, 0..1. 0: nothing is sampled and the second pass is the enlarged picture, as there.
 * @throws DiffusionError `ERR_INVALID_OPTION` for `hires.steps` when the schedule would have more than 10,000 steps.
 */
export function hiresSteps(asked: number, strength: number): HiresSteps {
  if (strength <= 0) return Object.freeze({ total: 0, skip: 0, steps: 0 });
  const total = Math.trunc(asked / Math.min(strength, most));
  if (total > longest) {
    const allowed = `at most ${Math.trunc(longest * strength)} at a denoising strength of ${strength}`;
    const hint = `The schedule has steps / strength steps, of which there can be ${longest}.`;
    throw invalidOption('hires.steps', asked, allowed, hint);
  }
  return Object.freeze({ total, skip: total - asked, steps: asked });
}

/**
 * Noise levels that a second pass runs through.
 * @param levels those of `hiresSteps(…).total` steps: decreasing, the last 0, total + 1 of them.
 */
export function hiresSigmas(levels: Float32Array, { skip }: HiresSteps): Float32Array {
  return levels.slice(skip);
}

/**
 * With noise levels of the caller's own there is nothing to ask for: they are the whole schedule, and the strength cuts
 * it as in img2img. A1111 has no such levels.
 */
export function hiresOwnSigmas(levels: Float32Array, strength: number): Float32Array {
  return strength <= 0 ? levels.slice(levels.length - 1) : img2imgSigmas(levels, strength);
}
