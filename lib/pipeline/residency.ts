import { host, sumBytes } from '../memory/index.js';
import type { Drafted } from './draft.js';
import { distinct, modelsOf, modelsOfJob } from './models.js';
import type { ModelContext, Presence } from './prompts.js';

/** What a job will do with the weights of its models. */
export interface PlannedResidency {
  /** For each pass, the models that are read before it. */
  readonly reads: readonly ReadonlySet<ModelContext>[];
  /** What leaves memory so that they can come, in the order of the job. */
  readonly leaves: readonly Presence[];
  /** Most bytes of the job's models that are in memory at one time. */
  readonly weights: number;
}

/** Bytes of the weights of models. */
export function bytesOf(models: Iterable<ModelContext>): number {
  return sumBytes([...models].flatMap(({ facts }) => facts.components));
}

/**
 * Goes through the passes as `enterPasses` will: what is not there is read, and where there is no room for it, models
 * leave that the pass does without, others of the runtime first, then those of the job, least lately used first.
 */
export function residencyOf({ models, plan }: Drafted): PlannedResidency {
  const { first } = models;
  const { ledger } = first.memory;
  const rivals = first.presence?.rivals ?? [];
  const there = new Set([...modelsOfJob(models)].filter(({ presence }) => presence?.loaded !== false));
  const used = new Set<ModelContext>([first]);
  const leaves: Presence[] = [];
  /** Freed so far, less what was read in its place. */
  let balance = 0;
  let weights = bytesOf(there);
  const leave = (presence: Presence): void => {
    leaves.push(presence);
    balance += presence.bytes;
    for (const model of there) if (model.presence === presence) there.delete(model);
  };
  const reads = plan.passes.map((pass) => {
    const own = distinct(modelsOf(pass, models));
    const wanted = new Set([...own].map(({ presence }) => presence));
    const mine = [...modelsOfJob(models)].map(({ presence }) => presence);
    const read = new Set<ModelContext>();
    for (const model of own) {
      const { presence } = model;
      if (presence === undefined || there.has(model)) continue;
      const need = new Map([[host, presence.bytes]]);
      const others = rivals.filter((rival) => !mine.includes(rival) && !leaves.includes(rival));
      const ours = [...new Set([...there].filter((one) => !used.has(one))), ...used].filter((one) => there.has(one));
      for (const leaver of [...others, ...ours.map((one) => one.presence)]) {
        if (ledger.shortage(need, balance) === undefined) break;
        if (leaver !== undefined && !wanted.has(leaver)) leave(leaver);
      }
      balance -= presence.bytes;
      there.add(model);
      read.add(model);
    }
    for (const model of own) {
      used.delete(model);
      used.add(model);
    }
    weights = Math.max(weights, bytesOf(there));
    return read;
  });
  return { reads, leaves, weights };
}
