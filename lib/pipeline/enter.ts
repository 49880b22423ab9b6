import type { JobScope } from '../native/index.js';
import type { TiledWarning } from './admission.js';
import { admitPasses, type PassesAdmission } from './admitPasses.js';
import { foreseeGroups } from './arrange.js';
import type { Drafted } from './draft.js';
import type { GenerateListeners } from './generate.js';
import { askedBy, offerGraphs } from './graphRelief.js';
import { type PassGroup, presencesOf } from './groups.js';
import { notify } from './listeners.js';
import { modelsOf } from './models.js';
import { groupParts } from './passParts.js';
import { goesOn, type Pass, type Plan, withMemory } from './plan.js';
import type { ProgressTracker } from './progress.js';
import type { ModelContext, Presence } from './prompts.js';
import type { Seat } from './queue.js';
import { takeTurns } from './turn.js';

/** A pass with its memory taken and its models loaded. */
export interface EnteredPass {
  readonly pass: Pass;
  readonly memoryBudget: number;
}

export type Enter = (index: number, tracker: ProgressTracker) => Promise<EnteredPass>;

/** Lets an upscaler model in that works without the models of its pass; null where it is let in with them. */
export type EnterEnlarging = (index: number, tracker: ProgressTracker) => Promise<EnteredPass | null>;

export interface Entered {
  readonly enter: Enter;
  readonly enlarging: EnterEnlarging;
  /** The plan with what memory has decided so far. */
  readonly plan: () => Plan;
  /** Gives everything back as soon as the native side has let go. */
  readonly leave: () => void;
}

/**
 * Models and memory of a job's passes. Passes of the same models in a row are let in together, before the first of them:
 * those of the pass before give back their memory, their turns and their right to stay, then those that are not there
 * are loaded, an upscaler model that one of them begins with as well. What comes later is checked before the first step.
 * While a job works without its own model, passes of other jobs may work with that.
 * @param groups of {@link arrangePasses}.
 */
export function enterPasses(
  scope: JobScope,
  seat: Seat,
  job: Drafted,
  groups: readonly PassGroup[],
  listeners: GenerateListeners,
  warn: (warning: TiledWarning) => void,
): Entered {
  const { models, plan: draft } = job;
  const { first } = models;
  let plan = draft;
  let admission: PassesAdmission | undefined;
  let current: PassGroup | undefined;
  let diffusion = first;
  /** Its owner lets the job's own model leave; from its first pass without it, the job holds it only where it works. */
  let spared: (() => void) | undefined;
  const holds = new Map<Presence, () => void>();
  /** Models that this job alone works with now. */
  const turns = new Map<ModelContext, () => void>([[first, seat.release]]);

  const admit = async (group: PassGroup): Promise<void> => {
    const { indices } = group;
    const parts = await groupParts(job, group, scope);
    // Models can leave for the graphs as well.
    const unwatch = first.presence?.watch(listeners.onModel);
    const taken = await admitPasses(parts, scope, job.tiling).finally(unwatch);
    admission = taken;
    for (const warning of taken.warnings) warn(warning);
    const tilings = plan.passes.map((pass, index) => {
      const found = taken.tilings[indices.indexOf(index)];
      return found ?? { decode: pass.tiling, encode: pass.encodeTiling };
    });
    plan = withMemory(plan, tilings, taken.memoryBudget);
  };
  const take = async (pass: Pass, group: PassGroup, tracker: ProgressTracker): Promise<void> => {
    const wanted = presencesOf(group.weights);
    if (current !== undefined) {
      // Nothing of the pass before runs any more.
      await scope.idle();
      admission?.release();
      admission = undefined;
    }
    if ([...group.models].every((model) => turns.has(model))) {
      giveBack(holds, wanted);
      giveBack(turns, group.models);
    } else {
      // Who waits for a turn has none, and keeps no model from leaving.
      giveBack(holds, new Set());
      giveBack(turns, new Set());
      await takeTurns(group.models, scope.signal, turns);
    }
    // Its owner does without it: now it can leave.
    if (!group.models.has(first)) spared ??= first.presence?.spare() ?? nothing;
    for (const presence of wanted) if (!holds.has(presence)) holds.set(presence, presence.hold());
    const started = performance.now();
    const reasonOf = (presence: Presence): string =>
      presence === models.upscaler?.presence ? 'The hires pass begins with it.' : loadReason(pass);
    const isThere = [...wanted].every(({ loaded }) => loaded);
    const parts = isThere ? [] : (await groupParts(job, group, scope)).flat();
    const withdraw = offerGraphs(await askedBy(parts, scope, job.tiling));
    await loadWeights(scope, tracker, wanted, reasonOf, listeners).finally(withdraw);
    current = group;
    if (group.enlarges !== null) return;
    const { diffusionModel } = modelsOf(pass, models);
    tell(pass, diffusionModel, listeners, started, diffusion);
    diffusion = diffusionModel;
  };
  const enterGroup = async (group: PassGroup, index: number, tracker: ProgressTracker): Promise<void> => {
    if (group === current) return;
    const isStart = current === undefined;
    await take(passAt(draft, index), group, tracker);
    if (isStart) await foreseeGroups(job, groups.slice(1), scope);
    await admit(group);
  };
  const entered = (index: number): EnteredPass => ({ pass: passAt(plan, index), memoryBudget: plan.memoryBudget });
  const enter: Enter = async (index, tracker) => {
    const group = groups.find(({ indices }) => indices.includes(index));
    if (group !== undefined) await enterGroup(group, index, tracker);
    return entered(index);
  };
  const enlarging: EnterEnlarging = async (index, tracker) => {
    const group = groups.find(({ enlarges }) => enlarges === index);
    if (group === undefined) return null;
    await enterGroup(group, index, tracker);
    return entered(index);
  };
  return {
    enter,
    enlarging,
    plan: () => plan,
    leave: () => {
      void scope.idle().then(() => {
        admission?.release();
        giveBack(holds, new Set());
        spared?.();
        giveBack(turns, new Set());
      });
    },
  };
}

const nothing = (): void => undefined;

function passAt({ passes }: Plan, index: number): Pass {
  const pass = passes[index];
  if (pass === undefined) throw new RangeError('No such pass');
  return pass;
}

/** Ends what is held and not wanted, the last first. */
function giveBack<T>(held: Map<T, () => void>, wanted: ReadonlySet<T>): void {
  for (const [one, release] of [...held].reverse()) {
    if (wanted.has(one)) continue;
    held.delete(one);
    release();
  }
}

function loadReason(pass: Pass): string {
  const { diffusionModel } = pass.parts;
  if (diffusionModel === 'first') return 'The job needs it.';
  return goesOn(pass) ? 'It refines the pass before.' : 'The hires pass has a checkpoint of its own.';
}

async function loadWeights(
  scope: JobScope,
  tracker: ProgressTracker,
  wanted: Iterable<Presence>,
  reasonOf: (presence: Presence) => string,
  { onModel }: GenerateListeners,
): Promise<void> {
  for (const presence of wanted) {
    if (presence.loaded) continue;
    await tracker.stageOf('load', (onEvent) => presence.load(scope, onEvent, reasonOf(presence), onModel));
  }
  tracker.skip('load');
}

function tell(
  pass: Pass,
  model: ModelContext,
  { onModel }: GenerateListeners,
  started: number,
  before: ModelContext,
): void {
  if (model === before) return;
  const [name, other] = [`"${model.facts.name}"`, `"${before.facts.name}"`];
  const event = {
    type: 'model',
    action: 'switch',
    model: model.facts.name,
    reason: goesOn(pass)
      ? `The refiner ${name} goes on after step ${String(pass.span?.from)} of ${String(pass.span?.to)} of ${other}.`
      : `The second pass works with ${name}, what came before with ${other}.`,
    ms: performance.now() - started,
  } as const;
  model.log?.(event);
  notify(onModel, event);
}
