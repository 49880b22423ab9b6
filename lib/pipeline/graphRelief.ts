import type { Relieve } from '../memory/index.js';
import type { JobScope, NativeJob } from '../native/index.js';
import { type Admitter, measureNeed } from './admission.js';
import type { PassPart } from './admitPasses.js';
import { untiled } from './measure.js';

type Run = <T>(start: () => NativeJob<T>) => Promise<T>;
type Owner = Pick<Admitter, 'native' | 'memory'>;
/** Signatures of the graphs that parts of a job ask for, by model. */
type Asked = ReadonlyMap<Owner, ReadonlySet<number>>;

/** Of the networks as they are without tiles; those of tiles are few and small. */
async function askedBy(parts: readonly PassPart[], scope: JobScope): Promise<Asked> {
  const asked = new Map<Owner, Set<number>>();
  for (const { admitter, shape } of parts) {
    const { signatures } = await measureNeed(admitter, scope, shape, { encode: untiled, decode: untiled });
    asked.set(admitter, new Set([...(asked.get(admitter) ?? []), ...signatures]));
  }
  return asked;
}

/** Bytes of compiled graphs that can go for parts of a job: those that they do without. */
export async function graphRelief(
  parts: readonly PassPart[],
  { memory: { ledger } }: Pick<Admitter, 'memory'>,
  scope: JobScope,
): Promise<number> {
  const asked = await askedBy(parts, scope);
  let bytes = ledger.graphs(new Set([...asked.keys()].map(({ memory }) => memory.cache.graphs)));
  for (const [{ memory }, signatures] of asked) bytes += memory.cache.graphs.beside(signatures);
  return bytes;
}

/** Asks the backend what it keeps of the job's models, with which nobody else works meanwhile. */
export async function refreshGraphs(parts: readonly PassPart[], scope: JobScope): Promise<void> {
  for (const { native, memory } of (await askedBy(parts, scope)).keys())
    if (memory.cache.compiles) await refresh({ native, memory }, (start) => scope.run(start));
}

/** Lets go of graphs that the job's own models keep and these parts do without. */
export function relieveOwn(parts: readonly PassPart[], scope: JobScope): Relieve {
  return async (enough, freed) => {
    for (const [{ native, memory }, signatures] of await askedBy(parts, scope)) {
      const used = memory.cache.graphs.usedBy(signatures);
      while (memory.cache.compiles && !enough()) {
        const bytes = await letGo({ native, memory }, (start) => scope.run(start), used);
        if (bytes === 0) break;
        freed(bytes);
      }
    }
  };
}

/**
 * Lets go of the least recently used graph of a model that nobody else works with, but for those to keep.
 * @returns bytes that it freed; 0: nothing can go.
 */
export async function letGo({ native, memory }: Owner, run: Run, keep: ReadonlySet<number>): Promise<number> {
  const { graphs } = memory.cache;
  await refresh({ native, memory }, run);
  const before = graphs.bytes;
  graphs.set(await run(() => native.releaseCompiled({ bytes: 1, keep: [...keep] })));
  return Math.max(0, before - graphs.bytes);
}

async function refresh({ native, memory }: Owner, run: Run): Promise<void> {
  memory.cache.graphs.set(await run(() => native.releaseCompiled({ bytes: 0, keep: [] })));
}
