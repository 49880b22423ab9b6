import { sumBytes } from '../memory/index.js';
import type { JobScope } from '../native/index.js';
import { chooseTilings, measureNeed, type TilingChoice } from './admission.js';
import type { PassPart } from './admitPasses.js';
import { distinct, type PassModels, presencesOf } from './models.js';
import type { ModelContext } from './prompts.js';
import { refusal } from './refusal.js';

/** A pass whose turn comes later in the job. */
export interface LaterPass {
  /** What each model does in it. */
  readonly parts: readonly PassPart[];
  readonly own: PassModels;
  /** The model of the job, which leaves memory when the pass works without it and the room is needed. */
  readonly first: ModelContext;
}

/**
 * Checks the memory of a pass before its models are loaded: their weights, and the graphs of the pass beside them,
 * which the headers of the files tell.
 * @throws DiffusionError `ERR_OUT_OF_MEMORY`. Nothing was loaded or allocated.
 */
export async function foresee(pass: LaterPass, scope: JobScope, choice: TilingChoice): Promise<void> {
  const { own, first, parts } = pass;
  const leaving = leavingBytes(own, first);
  for (const presence of presencesOf(own)) await presence.admits(leaving, scope.signal);
  scope.check();
  const relief = reliefOf(own, first);
  for (const { admitter, shape } of parts) {
    const tilings = await chooseTilings(admitter, scope, shape, choice, relief);
    const need = await measureNeed(admitter, scope, shape, tilings);
    const shortage = admitter.memory.ledger.shortage(need.byDevice, relief);
    if (shortage === undefined) continue;
    const what = `The hires pass with "${own.diffusionModel.facts.name}"`;
    throw await refusal(admitter, scope, shape, tilings, need, shortage, { what, relief });
  }
}

/** Bytes that a pass can have beside those that are free now: what leaves for it, less what is read for it. */
export function reliefOf(own: PassModels, first: ModelContext): number {
  return leavingBytes(own, first) - comingBytes(own);
}

/** Weights that are in memory and that a pass does without. */
function leavingBytes(own: PassModels, first: ModelContext): number {
  const kept = presencesOf(own);
  const leaving = new Set(kept.flatMap(({ rivals }) => rivals).filter((rival) => !kept.includes(rival)));
  if (!distinct(own).has(first) && first.presence?.loaded === true) leaving.add(first.presence);
  return sumBytes([...leaving]);
}

/** Weights of a pass that are not in memory. */
function comingBytes(own: PassModels): number {
  return sumBytes(presencesOf(own).filter(({ loaded }) => !loaded));
}
