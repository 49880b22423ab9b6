import { type Shortage, sumBytes } from '../memory/index.js';
import type { JobScope } from '../native/index.js';
import { chooseTilings, measureNeed, type TilingChoice } from './admission.js';
import type { PassPart } from './admitPasses.js';
import { graphRelief } from './graphRelief.js';
import { presencesOf, type Weighty } from './groups.js';
import type { Tilings } from './measure.js';
import type { JobNeed } from './needs.js';
import type { ModelContext } from './prompts.js';
import { refusal } from './refusal.js';

/** A pass whose turn comes later in the job. */
export interface LaterPass {
  /** What each model does in it. */
  readonly parts: readonly PassPart[];
  /** What is in memory while it runs. */
  readonly weights: ReadonlySet<Weighty>;
  /** The model of the job, which leaves memory when the pass works without it and the room is needed. */
  readonly first: ModelContext;
  /** As a sentence begins. */
  readonly what: string;
}

/**
 * Checks the memory of a pass before its models are loaded: their weights, and the graphs of the pass beside them,
 * which the headers of the files tell.
 * @throws DiffusionError `ERR_OUT_OF_MEMORY`. Nothing was loaded or allocated.
 */
export async function foresee(pass: LaterPass, scope: JobScope, choice: TilingChoice): Promise<void> {
  const lack = await lacking(pass, scope, choice);
  if (lack === undefined) return;
  const { part, tilings, need, shortage, relief } = lack;
  throw await refusal(part.admitter, scope, part.shape, tilings, need, shortage, { what: pass.what, relief });
}

interface Lack {
  readonly part: PassPart;
  readonly tilings: Tilings;
  readonly need: JobNeed;
  readonly shortage: Shortage;
  readonly relief: number;
}

/**
 * What a pass lacks beside its weights; undefined: nothing.
 * @throws DiffusionError `ERR_OUT_OF_MEMORY` where the weights alone do not fit.
 */
export async function lacking(
  { weights, first, parts }: Omit<LaterPass, 'what'>,
  scope: JobScope,
  choice: TilingChoice,
): Promise<Lack | undefined> {
  const leaving = leavingBytes(weights, first) + (await graphRelief(parts, first, scope, choice));
  for (const presence of presencesOf(weights)) await presence.admits(leaving, scope.signal);
  scope.check();
  const relief = await reliefOf({ weights, first, parts }, scope, choice);
  for (const part of parts) {
    const { admitter, shape } = part;
    const tilings = await chooseTilings(admitter, scope, shape, choice, relief);
    const need = await measureNeed(admitter, scope, shape, tilings);
    const shortage = admitter.memory.ledger.shortage(need.byDevice, relief);
    if (shortage !== undefined) return { part, tilings, need, shortage, relief };
  }
  return undefined;
}

/** Bytes that a pass can have beside those that are free now: what leaves for it, less what is read for it. */
export async function reliefOf(
  { weights, first, parts }: Omit<LaterPass, 'what'>,
  scope: JobScope,
  choice: TilingChoice,
): Promise<number> {
  const graphs = await graphRelief(parts, first, scope, choice);
  return leavingBytes(weights, first) + graphs - comingBytes(weights);
}

/** Weights that are in memory and that a pass does without. */
function leavingBytes(weights: ReadonlySet<Weighty>, first: ModelContext): number {
  const kept = presencesOf(weights);
  const leaving = new Set([...kept].flatMap(({ rivals }) => rivals).filter((rival) => !kept.has(rival)));
  if (!weights.has(first) && first.presence?.loaded === true) leaving.add(first.presence);
  return sumBytes([...leaving]);
}

/** Weights of a pass that are not in memory. */
function comingBytes(weights: ReadonlySet<Weighty>): number {
  return sumBytes([...presencesOf(weights)].filter(({ loaded }) => !loaded));
}
