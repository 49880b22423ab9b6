import { describe, expect, it } from 'vitest';
import { MemoryLedger, type Reservation, type Shortage } from '../../lib/memory/index.js';

const on = (bytes: number, device = 'CPU') => new Map([[device, bytes]]);

function ledger({ limit = 1000, rss = 0, available = 1e9 }: { limit?: number; rss?: number; available?: number } = {}) {
  const level = { rss, available };
  const book = new MemoryLedger({ limit, available: () => level.available, rss: () => level.rss });
  return { book, level };
}

function granted(outcome: Reservation | Shortage): Reservation {
  if (!('release' in outcome)) throw new Error(`refused: ${JSON.stringify(outcome)}`);
  return outcome;
}

/** Whether a promise has settled after every turn that could settle it. */
async function settled(promise: Promise<unknown>): Promise<boolean> {
  let done = false;
  void promise.then(() => (done = true));
  await new Promise((resolve) => setImmediate(resolve));
  return done;
}

describe('the ledger of a runtime', () => {
  it('grants what fits and refuses what never will, with the numbers', async () => {
    const { book } = ledger();
    granted(await book.reserve(on(1000))).release();
    expect(await book.reserve(on(1001))).toEqual({ device: 'CPU', needed: 1001, available: 1000, byLimit: true });
  });

  it('never lets two count on the same bytes: the second waits for the first', async () => {
    const { book } = ledger();
    const first = granted(await book.reserve(on(600)));
    const second = book.reserve(on(600));
    expect(await settled(second)).toBe(false);
    expect(book.available('CPU')).toBe(400);
    first.release();
    granted(await second).release();
    expect(book.available('CPU')).toBe(1000);
  });

  it('grants in order: a small one does not pass a large one that waits', async () => {
    const { book } = ledger();
    const first = granted(await book.reserve(on(600)));
    const large = book.reserve(on(900));
    const small = book.reserve(on(100));
    expect(await settled(small)).toBe(false);
    first.release();
    const second = granted(await large);
    granted(await small).release();
    second.release();
  });

  it('counts weights until they are given back, once', async () => {
    const { book } = ledger();
    const forget = granted(await book.reserve(on(500))).settle(400);
    expect(await book.reserve(on(601))).toMatchObject({ needed: 601, available: 600, byLimit: true });
    forget();
    forget();
    granted(await book.reserve(on(1000))).release();
  });

  it('counts what is resident and was not reserved', async () => {
    const { book, level } = ledger({ rss: 5000 });
    level.rss = 5300;
    expect(await book.reserve(on(800))).toMatchObject({ available: 700 });
    const job = granted(await book.reserve(on(700)));
    level.rss = 6000; // the job's own bytes are not counted twice
    expect(book.available('CPU')).toBe(0);
    job.release();
    level.rss = 5000;
    granted(await book.reserve(on(1000))).release();
  });

  it('gives at once what is free beside others, or tells what they have left', async () => {
    const { book, level } = ledger();
    const other = granted(await book.reserve(on(700)));
    expect(await book.takeNow(on(301))).toEqual({ device: 'CPU', needed: 301, available: 300, byLimit: true });
    const mine = granted(await book.takeNow(on(300)));
    expect(await book.takeNow(on(1))).toMatchObject({ available: 0 });
    mine.release();
    level.available = 200;
    expect(await book.takeNow(on(250))).toEqual({ device: 'CPU', needed: 250, available: 200, byLimit: false });
    other.release();
    granted(await book.takeNow(on(200))).release();
  });

  it('frees for it what is kept only to be faster', async () => {
    let leave = (): void => undefined;
    const relieve = async (enough: () => boolean): Promise<boolean> => {
      leave();
      return enough();
    };
    const book = new MemoryLedger({ limit: 1000, available: () => 1e9, rss: () => 0, relieve, spare: () => 900 });
    leave = book.keep(950);
    granted(await book.takeNow(on(64))).release();
    expect(await book.takeNow(on(1001))).toMatchObject({ available: 1000 });
  });

  it('asks the asker first, then others, and no more than it must', async () => {
    const level = { available: 100 };
    const asked: string[] = [];
    const frees =
      (name: string, bytes: number) =>
      async (enough: () => boolean): Promise<void> => {
        while (!enough() && asked.filter((one) => one === name).length < 2) {
          asked.push(name);
          level.available += bytes;
          await Promise.resolve();
        }
      };
    const others = frees('others', 100);
    const book = new MemoryLedger({
      ...{ limit: undefined, available: () => level.available, rss: () => 0 },
      ...{ relieve: others, spare: () => 50, graphs: (except) => (except.size > 0 ? 1 : 7) },
    });
    granted(await book.reserve(on(100), undefined, frees('own', 100))).release();
    expect(asked).toEqual([]);
    granted(await book.reserve(on(200), undefined, frees('own', 100))).release();
    expect(asked).toEqual(['own']);
    granted(await book.reserve(on(350), undefined, frees('own', 100))).release();
    expect(asked).toEqual(['own', 'own', 'others']);
    expect(await book.reserve(on(900), undefined, frees('own', 100))).toMatchObject({ needed: 900, available: 500 });
    expect([book.spare, book.spareWeights, book.graphs(new Set([book]))]).toEqual([57, 50, 1]);
  });

  it('frees what one that ran has left behind for one that has waited for it', async () => {
    const level = { available: 1000 };
    let kept = 0;
    const book = new MemoryLedger({
      ...{ limit: undefined, available: () => level.available - kept, rss: () => 0 },
      relieve: (enough) => {
        if (!enough()) kept = 0;
        return Promise.resolve();
      },
    });
    const first = granted(await book.reserve(on(600)));
    const second = book.reserve(on(600));
    expect(await settled(second)).toBe(false);
    kept = 500;
    first.release();
    granted(await second).release();
    level.available = 100;
    expect(await book.reserve(on(600))).toMatchObject({ available: 100 });
  });

  it('counts bytes that were freed beside others that run', async () => {
    const level = { rss: 500 };
    const book = new MemoryLedger({
      ...{ limit: 1000, available: () => 1e9, rss: () => level.rss },
      relieve: (_enough, freed) => {
        level.rss -= 300;
        freed(300);
        return Promise.resolve();
      },
    });
    level.rss = 900;
    const running = granted(await book.reserve(on(500)));
    expect(book.available('CPU')).toBe(100);
    const more = granted(await book.takeNow(on(350)));
    expect(book.available('CPU')).toBe(50);
    more.release();
    running.release();
  });

  it('counts what is kept without being asked for, once', async () => {
    const { book, level } = ledger();
    const leave = book.keep(400);
    level.rss = 400;
    expect(book.available('CPU')).toBe(600);
    const waiting = book.reserve(on(601));
    expect(await waiting).toMatchObject({ needed: 601, available: 600 });
    level.rss = 0;
    leave();
    leave();
    expect(book.available('CPU')).toBe(1000);
  });

  it('refuses beyond the memory of a device', async () => {
    const { book, level } = ledger({ limit: 1e9 });
    level.available = 50;
    expect(await book.reserve(on(51, 'CUDA0'))).toEqual({
      device: 'CUDA0',
      needed: 51,
      available: 50,
      byLimit: false,
    });
  });

  it('a waiting one leaves with the reason of its signal, and those behind it move up', async () => {
    const { book } = ledger();
    const first = granted(await book.reserve(on(600)));
    const controller = new AbortController();
    const reason = new Error('no longer');
    const large = book.reserve(on(900), controller.signal);
    const small = book.reserve(on(100));
    controller.abort(reason);
    await expect(large).rejects.toBe(reason);
    granted(await small).release();
    first.release();
    await expect(book.reserve(on(1), AbortSignal.abort(reason))).rejects.toBe(reason);
  });

  it('releases once', async () => {
    const { book } = ledger();
    const first = granted(await book.reserve(on(600)));
    const other = granted(await book.reserve(on(400)));
    first.release();
    first.release();
    expect(book.available('CPU')).toBe(600);
    other.release();
  });

  it('many at random never exceed the limit together', async () => {
    const { book } = ledger();
    let [now, most] = [0, 0];
    let seed = 7;
    const random = (): number => (seed = (seed * 48271) % 2147483647) / 2147483647;
    const work = Array.from({ length: 200 }, async () => {
      const bytes = 1 + Math.floor(random() * 999);
      const turns = Math.floor(random() * 5);
      const reservation = granted(await book.reserve(on(bytes)));
      now += bytes;
      most = Math.max(most, now);
      for (let i = 0; i < turns; i++) await new Promise((resolve) => setImmediate(resolve));
      now -= bytes;
      reservation.release();
    });
    await Promise.all(work);
    expect(most).toBeLessThanOrEqual(1000);
    expect(most).toBeGreaterThan(900);
    expect(book.available('CPU')).toBe(1000);
  });
});
