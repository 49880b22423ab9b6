import { distinct, type JobModels, modelsOf, type UpscalerModel } from './models.js';
import type { Plan } from './plan.js';
import type { ModelContext, Presence } from './prompts.js';

/** What has weights: a model or an upscaler model. */
export type Weighty = ModelContext | UpscalerModel;

/** Passes in a row that work with the same models. They are let in together, before the first of them. */
export interface PassGroup {
  /** Their places in the plan. */
  readonly indices: readonly number[];
  readonly models: ReadonlySet<ModelContext>;
  /** What is in memory while they run: the models, then the upscaler model that one of them begins with. */
  readonly weights: ReadonlySet<Weighty>;
}

/** The passes of a plan as they are let in, in order. */
export function groupsOf({ plan, models }: { readonly plan: Plan; readonly models: JobModels }): readonly PassGroup[] {
  const groups: PassGroup[] = [];
  for (const [index, pass] of plan.passes.entries()) {
    const own = modelsOf(pass, models);
    const upscalers = own.upscaler === undefined ? [] : [own.upscaler];
    const wanted = distinct(own);
    const before = groups.at(-1);
    if (before !== undefined && alike(before.models, wanted)) {
      const { indices, models: same, weights } = before;
      groups[groups.length - 1] = {
        indices: [...indices, index],
        models: same,
        weights: new Set([...weights, ...upscalers]),
      };
    } else groups.push({ indices: [index], models: wanted, weights: new Set([...wanted, ...upscalers]) });
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
