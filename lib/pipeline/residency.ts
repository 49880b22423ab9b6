import { host, sumBytes } from '../memory/index.js';
import type { Drafted } from './draft.js';
import { type PassGroup, presencesOf, type Weighty } from './groups.js';
import { modelsOfJob } from './models.js';
import type { Presence } from './prompts.js';

/** What a job will do with the weights of its models. */
export interface PlannedResidency {
  /** For each group of passes, what is read before it. */
  readonly reads: readonly ReadonlySet<Weighty>[];
  /** What leaves memory so that they can come, in the order of the job. */
  readonly leaves: readonly Presence[];
  /** Most bytes of the job's models that are in memory at one time, its upscaler model among them. */
  readonly weights: number;
}

/** Bytes of weights, in memory or not. */
export function bytesOf(weights: Iterable<Weighty>): number {
  const each = [...weights].map((one) => ('facts' in one ? sumBytes(one.facts.components) : one.presence.bytes));
  return each.reduce((sum, bytes) => sum + bytes, 0);
}

/**
 * Goes through the passes as `enterPasses` will: what is not there is read, and where there is no room for it, models
 * leave that the pass does without, least lately used first, so that those that the job has used are the last.
 */
export function residencyOf(job: Drafted, groups: readonly PassGroup[]): PlannedResidency {
  const { first, upscaler } = job.models;
  const { ledger } = first.memory;
  /** What was there before and was not used by the job so far. */
  const idle = new Set(first.presence?.rivals);
  const all: readonly Weighty[] = [...modelsOfJob(job.models), ...(upscaler === undefined ? [] : [upscaler])];
  const there = new Set(all.filter(({ presence }) => presence?.loaded !== false));
  const used = new Set<Weighty>([first]);
  const reads: ReadonlySet<Weighty>[] = [];
  const leaves: Presence[] = [];
  /** What can be freed without them, and was freed so far, less what was read in its place. */
  let balance = ledger.graphs();
  let weights = bytesOf(there);
  const leave = (presence: Presence): void => {
    leaves.push(presence);
    idle.delete(presence);
    balance += presence.bytes;
    for (const one of there) if (one.presence === presence) there.delete(one);
  };
  for (const { weights: own, graphs } of groups) {
    const wanted = presencesOf(own);
    const read = new Set<Weighty>();
    const makeRoom = (bytes: number): void => {
      const need = new Map([[host, bytes]]);
      const mine = [...used].flatMap((each) => (there.has(each) ? (each.presence ?? []) : []));
      for (const leaver of [...idle, ...mine]) {
        if (ledger.shortage(need, balance) === undefined) break;
        if (!wanted.has(leaver) && (leaver === first.presence || !leaver.owned)) leave(leaver);
      }
    };
    for (const one of own) {
      const { presence } = one;
      if (presence === undefined || there.has(one)) continue;
      makeRoom(presence.bytes);
      balance -= presence.bytes;
      there.add(one);
      read.add(one);
    }
    if (graphs > 0) makeRoom(graphs);
    for (const one of own) {
      if (one.presence !== undefined) idle.delete(one.presence);
      used.delete(one);
      used.add(one);
    }
    weights = Math.max(weights, bytesOf(there));
    reads.push(read);
  }
  return { reads, leaves, weights };
}
