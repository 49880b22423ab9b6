import { distinct, type JobModels, modelsOf, type UpscalerModel } from './models.js';
import type { Plan } from './plan.js';
import type { ModelContext, Presence } from './prompts.js';

/** What has weights: a model or an upscaler model. */
export type Weighty = ModelContext | UpscalerModel;

/** Passes in a row that work with the same models. They are let in together, before the first of them. */
export interface PassGroup {
  /** Their places in the plan; none where only pictures are enlarged. */
  readonly indices: readonly number[];
  readonly models: ReadonlySet<ModelContext>;
  /** What is in memory while they run: the models, then the upscaler model that one of them begins with. */
  readonly weights: ReadonlySet<Weighty>;
  /** Place of the pass whose start pictures are enlarged here, without its models; null: this is a group of passes. */
  readonly enlarges: number | null;
  /** Most bytes that are known to be taken beside the weights, for which others leave. */
  readonly graphs: number;
}

/**
 * The passes of a plan as they are let in, in order.
 * @param apart an upscaler model works before the models of its pass come rather than beside them.
 */
export function groupsOf(
  { plan, models }: { readonly plan: Plan; readonly models: JobModels },
  apart = false,
): readonly PassGroup[] {
  const groups: PassGroup[] = [];
  for (const [index, pass] of plan.passes.entries()) {
    const own = modelsOf(pass, models);
    const upscalers = own.upscaler === undefined ? [] : [own.upscaler];
    const wanted = distinct(own);
    const before = groups.at(-1);
    if (apart && upscalers.length > 0) {
      groups.push({ indices: [], models: new Set(), weights: new Set(upscalers), enlarges: index, graphs: 0 });
      groups.push({ indices: [index], models: wanted, weights: wanted, enlarges: null, graphs: 0 });
    } else if (before !== undefined && alike(before.models, wanted)) {
      const weights = new Set([...before.weights, ...upscalers]);
      groups[groups.length - 1] = { ...before, indices: [...before.indices, index], weights };
    } else {
      const weights = new Set([...wanted, ...upscalers]);
      groups.push({ indices: [index], models: wanted, weights, enlarges: null, graphs: 0 });
    }
  }
  return groups;
}

/** Where the weights are that can leave memory, each once. */
export function presencesOf(weights: Iterable<Weighty>): ReadonlySet<Presence> {
  return new Set([...weights].flatMap(({ presence }) => presence ?? []));
}

function alike(a: ReadonlySet<ModelContext>, b: ReadonlySet<ModelContext>): boolean {
  return a.size === b.size && [...a].every((model) => b.has(model));
}
