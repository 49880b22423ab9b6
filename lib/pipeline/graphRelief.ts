import type { JobScope, NativeJob } from '../native/index.js';
import { type Admitter, measureNeed, type TilingChoice } from './admission.js';
import type { PassPart } from './admitPasses.js';
import { untiled } from './measure.js';
import type { JobNeed } from './needs.js';

type Run = <T>(start: () => NativeJob<T>) => Promise<T>;
/** Whose compiled graphs they are. */
export type GraphOwner = Pick<Admitter, 'native' | 'memory'>;
/** Signatures of the graphs that parts of a job ask for, by model; null: all that it keeps stay. */
export type Asked = ReadonlyMap<Admitter, ReadonlySet<number> | null>;

interface MeasuredPart extends PassPart {
  readonly need: Pick<JobNeed, 'asks'>;
}

/** Puts together what parts ask for. Of LoRAs at run time nobody knows before which graphs they will make. */
export async function askedOf(parts: readonly MeasuredPart[], scope: JobScope): Promise<Asked> {
  const asked = new Map<Admitter, ReadonlySet<number> | null>();
  const add = (admitter: Admitter, graphs: JobNeed['asks']): void => {
    const before = asked.get(admitter) ?? [];
    const all = admitter.weights?.hadRuntime === true;
    asked.set(admitter, all ? null : new Set([...before, ...graphs.map(({ signature }) => signature)]));
  };
  for (const { admitter, need, texts, works = true } of parts) {
    if (works) add(admitter, need.asks);
    if (texts === undefined) continue;
    const { asks } = await measureNeed(texts.admitter, scope, texts.shape, { encode: untiled, decode: untiled });
    add(texts.admitter, asks);
  }
  return asked;
}

/** What parts ask for, with `auto` where the VAE works on whole pictures. */
export async function askedBy(parts: readonly PassPart[], scope: JobScope, choice: TilingChoice): Promise<Asked> {
  const tiling = choice === 'auto' ? untiled : choice;
  const measured: MeasuredPart[] = [];
  for (const part of parts) {
    const { admitter, shape } = part;
    measured.push({ ...part, need: await measureNeed(admitter, scope, shape, { encode: tiling, decode: tiling }) });
  }
  return askedOf(measured, scope);
}

/**
 * Bytes of compiled graphs that can go for a pass which is not there yet: those that it does without, its job's first
 * model's among them, whoever has its turn now.
 */
export async function graphRelief(
  parts: readonly PassPart[],
  { memory: { ledger, cache } }: Pick<Admitter, 'memory'>,
  scope: JobScope,
  choice: TilingChoice,
): Promise<number> {
  const known = await askedBy(parts, scope, choice);
  const asked = new Map([...known].map(([{ memory }, own]) => [memory.cache.graphs, own]));
  const others = ledger.graphs(new Set([...asked.keys(), cache.graphs]));
  const first = asked.has(cache.graphs) ? 0 : cache.graphs.bytes;
  return [...asked].reduce((sum, [graphs, used]) => sum + (used === null ? 0 : graphs.beside(used)), others + first);
}

/**
 * Lets what the job's models keep and it does without go for whoever needs memory: the job itself, which has their turns
 * and waits for memory until the result is called.
 */
export function offerGraphs(asked: Asked): () => void {
  const withdraw = [...asked].map(([{ presence }, own]) => (own === null ? undefined : presence?.offer(own)));
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
 * @param asked signatures of those that stay; undefined: none may go any more.
 * @returns bytes that it freed; 0: nothing can go.
 */
export async function letGoOf(
  owner: GraphOwner,
  run: Run,
  asked: () => ReadonlySet<number> | undefined,
): Promise<number> {
  const { graphs } = owner.memory.cache;
  await refresh(owner, run);
  const before = graphs.bytes;
  const stay = asked();
  if (before === 0 || stay === undefined) return 0;
  const keep = stay.size === 0 ? [] : [...graphs.usedBy(stay)];
  graphs.set(await run(() => owner.native.releaseCompiled({ bytes: 1, keep })));
  return Math.max(0, before - graphs.bytes);
}

/** Asks the backend what it keeps of a model. */
export async function refresh({ native, memory }: GraphOwner, run: Run): Promise<void> {
  memory.cache.graphs.set(await run(() => native.releaseCompiled({ bytes: 0, keep: [] })));
}
