import type { JobScope, NativeJob } from '../native/index.js';
import { type Admitter, measureNeed, type TilingChoice } from './admission.js';
import type { PassPart } from './admitPasses.js';
import { untiled } from './measure.js';
import type { JobNeed } from './needs.js';

type Run = <T>(start: () => NativeJob<T>) => Promise<T>;
/** Whose compiled graphs they are. */
export type GraphOwner = Pick<Admitter, 'native' | 'memory'>;
/** Signatures of the graphs that parts of a job ask for, by model. */
export type Asked = ReadonlyMap<Admitter, ReadonlySet<number>>;

/** Puts together what parts ask for. */
export function askedOf(parts: readonly (PassPart & { readonly need: Pick<JobNeed, 'signatures'> })[]): Asked {
  const asked = new Map<Admitter, ReadonlySet<number>>();
  for (const { admitter, need, works = true } of parts)
    if (works) asked.set(admitter, new Set([...(asked.get(admitter) ?? []), ...need.signatures]));
  return asked;
}

/** What parts ask for, with `auto` where the VAE works on whole pictures. */
export async function askedBy(parts: readonly PassPart[], scope: JobScope, choice: TilingChoice): Promise<Asked> {
  const tiling = choice === 'auto' ? untiled : choice;
  const measured = [];
  for (const part of parts) {
    const { admitter, shape } = part;
    measured.push({ ...part, need: await measureNeed(admitter, scope, shape, { encode: tiling, decode: tiling }) });
  }
  return askedOf(measured);
}

/**
 * Bytes of compiled graphs that can go for a pass which is not there yet: those that it does without, its job's first
 * model's among them, whoever has its turn now.
 */
export async function graphRelief(
  parts: readonly PassPart[],
  first: Pick<Admitter, 'memory'>,
  scope: JobScope,
  choice: TilingChoice,
): Promise<number> {
  const known = await askedBy(parts, scope, choice);
  const asked = new Map([...known].map(([{ memory }, own]) => [memory.cache.graphs, own]));
  const { ledger, cache } = first.memory;
  if (!asked.has(cache.graphs)) asked.set(cache.graphs, new Set());
  let bytes = ledger.graphs(new Set(asked.keys()));
  for (const [graphs, own] of asked) bytes += own.size === 0 ? graphs.bytes : graphs.beside(own);
  return bytes;
}

/**
 * Lets what the job's models keep and it does without go for whoever needs memory: the job itself, which has their turns
 * and waits for memory until the result is called.
 */
export function offerGraphs(asked: Asked): () => void {
  const withdraw = [...asked].map(([{ presence }, signatures]) => presence?.offer(signatures));
  return () => {
    for (const one of withdraw) one?.();
  };
}

/** Asks the backend what it keeps of models, with which nobody else works meanwhile. */
export async function refreshGraphs(owners: Iterable<GraphOwner>, scope: JobScope): Promise<void> {
  for (const owner of owners) if (owner.memory.cache.compiles) await refresh(owner, (start) => scope.run(start));
}

/**
 * Lets go of the least recently used graph that no job asks for.
 * @param asked signatures of those that stay.
 * @returns bytes that it freed; 0: nothing can go.
 */
export async function letGoOf(owner: GraphOwner, run: Run, asked: ReadonlySet<number>): Promise<number> {
  const { graphs } = owner.memory.cache;
  await refresh(owner, run);
  const before = graphs.bytes;
  if (before === 0) return 0;
  const keep = asked.size === 0 ? [] : [...graphs.usedBy(asked)];
  graphs.set(await run(() => owner.native.releaseCompiled({ bytes: 1, keep })));
  return Math.max(0, before - graphs.bytes);
}

async function refresh({ native, memory }: GraphOwner, run: Run): Promise<void> {
  memory.cache.graphs.set(await run(() => native.releaseCompiled({ bytes: 0, keep: [] })));
}
