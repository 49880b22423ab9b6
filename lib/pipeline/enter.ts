import type { JobScope } from '../native/index.js';
import type { TiledWarning } from './admission.js';
import { admitPasses, type PassesAdmission, type PassPart } from './admitPasses.js';
import type { Drafted } from './draft.js';
import { foresee } from './foresee.js';
import type { GenerateListeners } from './generate.js';
import { noInputs } from './inputs.js';
import { notify } from './listeners.js';
import { enlargeStage } from './hires/enlargement.js';
import { distinct, modelsOf, presencesOf } from './models.js';
import { decodes, type Pass, type Plan, withMemory } from './plan.js';
import type { ProgressTracker } from './progress.js';
import type { ModelContext, Presence } from './prompts.js';
import type { JobQueue } from './queue.js';
import { shapeOf } from './shape.js';

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
 * Models and memory of a job's passes. Passes of the job's own model are let in together, before the first step; those
 * of a second model, which were checked then, when it takes over: the first gives its memory back, the second is loaded if it is not there, and
 * belongs to this job until its end.
 */
export function enterPasses(
  scope: JobScope,
  job: Drafted,
  listeners: GenerateListeners,
  warn: (warning: TiledWarning) => void,
): Entered {
  const { models, plan: draft } = job;
  let plan = draft;
  let admission: PassesAdmission | undefined;
  let from = 0;
  let taken = false;
  let unlock: (() => void) | undefined;
  const holds: (() => void)[] = [];

  const admit = async (indices: readonly number[]): Promise<void> => {
    const parts: PassPart[][] = [];
    for (const index of indices) parts.push(await partsOf(job, index, scope));
    admission = await admitPasses(parts, scope, job.tiling);
    for (const warning of admission.warnings) warn(warning);
    const tilings = draft.passes.map((pass, index) => {
      const found = admission?.tilings[index - from];
      return found ?? { decode: pass.tiling, encode: pass.encodeTiling };
    });
    plan = withMemory(draft, tilings, admission.memoryBudget);
  };
  const enter: Enter = async (index, tracker) => {
    const pass = draft.passes[index];
    if (pass === undefined) throw new RangeError('No such pass');
    const own = modelsOf(pass, models);
    if (usesFirst(pass)) {
      if (admission === undefined) {
        const mine = [...draft.passes.keys()].filter((other) => usesFirst(draft.passes[other]));
        const needed = new Set(mine.flatMap((other) => presencesIn(job, other)));
        holds.push(...hold(needed));
        await loadModels(scope, tracker, needed, 'The job needs it.', listeners);
        for (const [later, other] of draft.passes.entries()) {
          if (usesFirst(other)) continue;
          const parts = await partsOf(job, later, scope);
          await foresee({ parts, own: modelsOf(other, models), first: models.first }, scope, job.tiling);
        }
        await admit(mine);
      }
    } else if (!taken) {
      taken = true;
      // Nothing of the first pass runs any more.
      await scope.idle();
      admission?.release();
      const { second } = models;
      if (second !== undefined) unlock = await lock(second.queue, scope);
      if (!distinct(own).has(models.first)) {
        // The first pass held it, its owner does without it: now it can leave.
        for (const release of holds.splice(0)) release();
        holds.push(models.first.presence?.spare() ?? nothing);
      }
      const needed = presencesOf(own);
      holds.push(...hold(needed));
      const started = performance.now();
      await loadModels(scope, tracker, needed, 'The hires pass has a checkpoint of its own.', listeners);
      tell(own.diffusionModel, listeners, started, models.first);
      from = index;
      await admit([index]);
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
        for (const release of holds.reverse()) release();
        unlock?.();
      });
    },
  };
}

const nothing = (): void => undefined;

function hold(needed: Iterable<Presence>): (() => void)[] {
  return [...needed].map((presence) => presence.hold());
}

function presencesIn({ plan, models }: Drafted, index: number): Presence[] {
  const pass = plan.passes[index];
  return pass === undefined ? [] : presencesOf(modelsOf(pass, models));
}

function usesFirst(pass: Pass | undefined): boolean {
  return pass !== undefined && Object.values(pass.parts).every((role) => role === 'first');
}

/** What each model does in a pass. */
async function partsOf({ plan, models, inputs }: Drafted, index: number, scope: JobScope): Promise<PassPart[]> {
  const pass = plan.passes[index];
  if (pass === undefined) return [];
  const own = modelsOf(pass, models);
  const { diffusionModel, vae } = own;
  const enlarge = await enlargeStage(pass, own, scope);
  const given = inputs[index] ?? noInputs;
  const shape = { ...shapeOf(pass, plan, given, diffusionModel.facts, decodes(plan, index)), enlarge };
  if (vae === diffusionModel) return [{ admitter: diffusionModel, shape }];
  return [
    { admitter: diffusionModel, shape: { ...shape, encode: [], decode: false } },
    { admitter: vae, shape: { ...shape, prompts: [], preview: 'none', enlarge: null } },
  ];
}

async function loadModels(
  scope: JobScope,
  tracker: ProgressTracker,
  needed: Iterable<Presence>,
  reason: string,
  { onModel }: GenerateListeners,
): Promise<void> {
  for (const presence of needed) {
    if (presence.loaded) continue;
    await tracker.stageOf('load', (onEvent) => presence.load(scope, onEvent, reason, onModel));
  }
  tracker.skip('load');
}

function tell(model: ModelContext, { onModel }: GenerateListeners, started: number, before: ModelContext): void {
  if (model === before) return;
  const event = {
    type: 'model',
    action: 'switch',
    model: model.facts.name,
    reason: `The second pass works with "${model.facts.name}", the first with "${before.facts.name}".`,
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
