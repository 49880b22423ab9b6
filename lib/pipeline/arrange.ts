import { DiffusionError } from '../errors/index.js';
import type { JobScope } from '../native/index.js';
import { chooseTilings, measureNeed } from './admission.js';
import type { Drafted } from './draft.js';
import { foresee, lacking, reliefOf } from './foresee.js';
import { groupsOf, type PassGroup } from './groups.js';
import { modelsOf } from './models.js';
import { groupParts } from './passParts.js';
import { goesOn } from './plan.js';

/**
 * The passes of a job as they are let in. An upscaler model is in memory together with the models of its pass. Where
 * there is no room for that, but for each by itself, it enlarges all pictures first and makes room for them.
 */
export async function arrangePasses(job: Drafted, scope: JobScope): Promise<readonly PassGroup[]> {
  const together = groupsOf(job);
  const { upscaler } = job.models;
  if (upscaler === undefined || (await fits(job, together, scope))) return together;
  const apart = groupsOf(job, true);
  if (!(await fits(job, apart, scope))) return together;
  const known: PassGroup[] = [];
  for (const group of apart) known.push({ ...group, graphs: await graphsOf(job, group, scope) });
  return known;
}

/** Checks the memory of groups of passes, as far as they can be checked before their models are there. */
export async function foreseeGroups(job: Drafted, groups: readonly PassGroup[], scope: JobScope): Promise<void> {
  const { first } = job.models;
  for (const group of groups) {
    const parts = await groupParts(job, group, scope);
    for (const [place, own] of parts.entries()) {
      const what = named(job, group.enlarges ?? group.indices[place] ?? 0, group.enlarges !== null);
      await foresee({ parts: own, weights: group.weights, first, what }, scope, job.tiling);
    }
  }
}

async function fits(job: Drafted, groups: readonly PassGroup[], scope: JobScope): Promise<boolean> {
  const { first } = job.models;
  try {
    for (const group of groups) {
      const parts = (await groupParts(job, group, scope)).flat();
      if ((await lacking({ parts, weights: group.weights, first }, scope, job.tiling)) !== undefined) return false;
    }
    return true;
  } catch (error) {
    if (error instanceof DiffusionError && error.code === 'ERR_OUT_OF_MEMORY') return false;
    throw error;
  }
}

async function graphsOf(job: Drafted, group: PassGroup, scope: JobScope): Promise<number> {
  const parts = (await groupParts(job, group, scope)).flat();
  const relief = await reliefOf({ weights: group.weights, first: job.models.first, parts }, scope, job.tiling);
  let most = 0;
  for (const { admitter, shape } of parts) {
    const tilings = await chooseTilings(admitter, scope, shape, job.tiling, relief);
    most = Math.max(most, (await measureNeed(admitter, scope, shape, tilings)).peak);
  }
  return most;
}

/** A pass as a sentence begins. */
function named({ plan, models }: Drafted, index: number, enlarges: boolean): string {
  const pass = plan.passes[index];
  if (pass === undefined) throw new RangeError('No such pass');
  if (enlarges) return 'Enlarging for the hires pass';
  const kind = goesOn(pass) ? 'refiner' : 'hires';
  return `The ${kind} pass with "${modelsOf(pass, models).diffusionModel.facts.name}"`;
}
