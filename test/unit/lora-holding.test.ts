import { expect, it } from 'vitest';
import { MemoryLedger } from '../../lib/memory/index.js';
import type { NativeJob, NativeWeightsMemory } from '../../lib/native/index.js';
import { LoraHolding } from '../../lib/weights/holding.js';

/** A ledger of 1000 bytes and a holding whose native side has what `now` says. */
function holding() {
  const book = new MemoryLedger({ limit: 1000, available: () => 1e9, rss: () => 0 });
  const now = { bytes: 0, asked: 0 };
  const room = {
    keep: (bytes: number) => book.keep(bytes),
    take: async ({ host }: { host: number }) => {
      const outcome = await book.takeNow(new Map([['CPU', host]]));
      if ('release' in outcome) return outcome.release;
      throw new Error('no room');
    },
  };
  let open = (): void => undefined;
  const gate = { wait: false, open: (): void => undefined };
  gate.open = () => {
    open();
  };
  const memory = (): NativeJob<NativeWeightsMemory> => {
    now.asked++;
    const promise = new Promise<void>((resolve) => {
      open = resolve;
      if (!gate.wait) resolve();
    }).then(() => ({ ramBackup: now.bytes, deviceBackup: 0, cache: 0, loraFiles: 0, changedTensors: 0 }));
    return { promise } as NativeJob<NativeWeightsMemory>;
  };
  return { book, now, gate, holding: new LoraHolding(room, memory) };
}
const run = <T>(start: () => NativeJob<T>): Promise<T> => start().promise;
const beside = new Map();

it('one who waits is never given bytes between the old count and the new', async () => {
  const { book, now, holding: held } = holding();
  now.bytes = 400;
  await held.count(run);
  const job = await book.takeNow(new Map([['CPU', 300]]));
  const waiting = book.reserve(new Map([['CPU', 500]]));
  now.bytes = 450;
  await held.count(run);
  expect(book.available('CPU')).toBe(250);
  if ('release' in job) job.release();
  expect('release' in (await waiting)).toBe(true);
});

it('weights that leave while they are counted keep nothing, and are not asked', async () => {
  const { book, now, gate, holding: held } = holding();
  now.bytes = 900;
  gate.wait = true;
  const counting = held.count(run);
  held.left();
  gate.open();
  await counting;
  expect(book.available('CPU')).toBe(1000);
  const readings = held.readings;
  held.left();
  await held.count(run, readings);
  expect(now.asked).toBe(1);
});

it('putting originals back is never refused, without a place for what could be kept', async () => {
  const { holding: held } = holding();
  const end = await held.take({ host: 600, beside }, true);
  expect(await held.take({ host: 600, beside }, true)).toBeNull();
  await expect(held.take({ host: 600, beside }, false)).rejects.toThrow('no room');
  end?.();
  (await held.take({ host: 600, beside }, false))?.();
});
