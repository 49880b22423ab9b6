import type { JobScope } from '../native/index.js';
import type { TiledWarning } from './admission.js';
import { admitPasses, type PassesAdmission } from './admitPasses.js';
import type { Drafted } from './draft.js';
import { foresee } from './foresee.js';
import type { GenerateListeners } from './generate.js';
import { notify } from './listeners.js';
import { distinct, modelsOf, type PassModels } from './models.js';
import { passParts } from './passParts.js';
import { goesOn, type Pass, type Plan, withMemory } from './plan.js';
import type { ProgressTracker } from './progress.js';
import type { ModelContext } from './prompts.js';
import type { JobQueue } from './queue.js';

/** A pass with its memory taken and its models loaded. */
export interface EnteredPass {
  readonly pass: Pass;
  readonly memoryBudget: number;
}

export type Enter = (index: number, tracker: ProgressTracker) => Promise<EnteredPass>;

export interface Entered {
  readonly enter: Enter;
  /** The plan with what memory has decided so far. */
  readonly plan: () => Plan;
  /** Gives everything back as soon as the native side has let go. */
  readonly leave: () => void;
}

/**
/**
 * Models and memory of a job's passes. Passes of the same models in a row are let in together, before the first of them:
 * those of the pass before give back their memory, their queues and their right to stay, then those that are not there
 * are loaded. What comes later is checked before the first step. Only the job's own model is this job's all the time; a job
 * that waits for another's queue keeps no other.
 */
export function enterPasses(
  scope: JobScope,
  job: Drafted,
  listeners: GenerateListeners,
  warn: (warning: TiledWarning) => void,
): Entered {
  const { models, plan: draft } = job;
  const { first } = models;
  let plan = draft;
  let admission: PassesAdmission | undefined;
  let current: ReadonlySet<ModelContext> = new Set();
  let diffusion = first;
  /** Its owner lets the job's own model leave; from its first pass without it, the job holds it only where it works. */
  let spared: (() => void) | undefined;
  const holds = new Map<ModelContext, () => void>();
  const locks = new Map<ModelContext, () => void>();
  const modelsAt = (index: number): ReadonlySet<ModelContext> => {
    const pass = draft.passes[index];
    return pass === undefined ? new Set() : distinct(modelsOf(pass, models));
  };

  const admit = async (from: number): Promise<void> => {
    let to = from + 1;
    while (to < draft.passes.length && alike(modelsAt(to), current)) to++;
    const indices = Array.from({ length: to - from }, (_, place) => from + place);
    const taken = await admitPasses(
      indices.map((index) => passParts(job, index)),
      scope,
      job.tiling,
    );
    admission = taken;
    for (const warning of taken.warnings) warn(warning);
    const tilings = plan.passes.map((pass, index) => {
      const found = index < to ? taken.tilings[index - from] : undefined;
      return found ?? { decode: pass.tiling, encode: pass.encodeTiling };
    });
    plan = withMemory(plan, tilings, taken.memoryBudget);
  };
  const take = async (pass: Pass, tracker: ProgressTracker): Promise<void> => {
    const own = modelsOf(pass, models);
    const wanted = distinct(own);
    if (current.size > 0) {
      // Nothing of the pass before runs any more.
      await scope.idle();
      admission?.release();
      admission = undefined;
    }
    giveBack(holds, wanted);
    giveBack(locks, wanted);
    for (const model of wanted)
      if (model !== first && !locks.has(model)) locks.set(model, await lock(model.queue, scope));
    // Its owner does without it: now it can leave.
    if (!wanted.has(first)) spared ??= first.presence?.spare() ?? nothing;
    for (const model of wanted) if (!holds.has(model)) holds.set(model, model.presence?.hold() ?? nothing);
    const started = performance.now();
    await loadModels(scope, tracker, own, loadReason(pass), listeners);
    tell(pass, own.diffusionModel, listeners, started, diffusion);
    diffusion = own.diffusionModel;
    current = wanted;
  };
  const foreseeLater = async (): Promise<void> => {
    for (const [index, pass] of draft.passes.entries()) {
      if (alike(modelsAt(index), current)) continue;
      const own = modelsOf(pass, models);
      const kind = goesOn(pass) ? 'refiner' : 'hires';
      const what = `The ${kind} pass with "${own.diffusionModel.facts.name}"`;
      await foresee({ parts: passParts(job, index), own, first, what }, scope, job.tiling);
    }
  };
  const enter: Enter = async (index, tracker) => {
    const pass = draft.passes[index];
    if (pass === undefined) throw new RangeError('No such pass');
    if (!alike(modelsAt(index), current)) {
      const isStart = current.size === 0;
      await take(pass, tracker);
      if (isStart) await foreseeLater();
      await admit(index);
    }
    const entered = plan.passes[index];
    if (entered === undefined) throw new RangeError('No such pass');
    return { pass: entered, memoryBudget: plan.memoryBudget };
  };
  return {
    enter,
    plan: () => plan,
    leave: () => {
      void scope.idle().then(() => {
        admission?.release();
        giveBack(holds, new Set());
        spared?.();
        giveBack(locks, new Set());
      });
    },
  };
}

const nothing = (): void => undefined;

function alike(a: ReadonlySet<ModelContext>, b: ReadonlySet<ModelContext>): boolean {
  return a.size === b.size && [...a].every((model) => b.has(model));
}

/** Ends what is held of models that are not wanted, the last first. */
function giveBack(held: Map<ModelContext, () => void>, wanted: ReadonlySet<ModelContext>): void {
  for (const [model, release] of [...held].reverse()) {
    if (wanted.has(model)) continue;
    held.delete(model);
    release();
  }
}

function loadReason(pass: Pass): string {
  const { diffusionModel } = pass.parts;
  if (diffusionModel === 'first') return 'The job needs it.';
  return goesOn(pass) ? 'It refines the pass before.' : 'The hires pass has a checkpoint of its own.';
}

async function loadModels(
  scope: JobScope,
  tracker: ProgressTracker,
  own: PassModels,
  reason: string,
  { onModel }: GenerateListeners,
): Promise<void> {
  for (const { presence } of distinct(own)) {
    if (presence === undefined || presence.loaded) continue;
    await tracker.stageOf('load', (onEvent) => presence.load(scope, onEvent, reason, onModel));
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

/** Waits for a queue's turn and keeps it until the result is called. */
function lock(queue: JobQueue, scope: JobScope): Promise<() => void> {
  return new Promise((resolve, reject) => {
    queue
      .enqueue(
        'hires',
        { signal: scope.signal },
        () =>
          new Promise<void>((done) => {
            resolve(done);
          }),
      )
      .catch(reject);
  });
}
