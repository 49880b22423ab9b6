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
    const relieve = (): Promise<void> => {
      leave();
      return Promise.resolve();
    };
    const book = new MemoryLedger({ limit: 1000, available: () => 1e9, rss: () => 0, relieve, spare: () => 900 });
    leave = book.keep(950);
    granted(await book.takeNow(on(64))).release();
    expect(await book.takeNow(on(1001))).toMatchObject({ available: 1000 });
  });

  /** What can be freed, ten bytes at a time. */
  function freeing(kept: number) {
    const level = { available: 100, kept, busy: 0, asked: 0 };
    const book = new MemoryLedger({
      ...{ limit: undefined, available: () => level.available - level.kept - level.busy, rss: () => 0 },
      relieve: async ({ enough, wouldDo }) => {
        level.asked++;
        while (level.kept > 0 && !enough() && wouldDo(level.kept)) {
          level.kept -= 10;
          await Promise.resolve();
        }
      },
      spare: () => 7,
      graphs: {
        idle: (except) => ((except?.size ?? 0) > 0 ? 0 : level.kept),
        all: () => level.kept + level.busy,
      },
    });
    return { level, book };
  }

  it('frees what a need lacks, no more, and nothing for one that it would not help', async () => {
    const { level, book } = freeing(80);
    expect([book.spare, book.spareWeights, book.graphs(new Set([book]))]).toEqual([87, 7, 0]);
    granted(await book.reserve(on(20))).release();
    expect(level).toMatchObject({ kept: 80, asked: 0 });
    granted(await book.reserve(on(50))).release();
    expect(level.kept).toBe(50);
    expect(await book.reserve(on(200))).toMatchObject({ needed: 200, available: 50 });
    expect(level.kept).toBe(50);
    granted(await book.reserve(on(100))).release();
    expect(level.kept).toBe(0);
  });

  it('frees what one that ran has left behind for one that has waited for it, which nobody passes meanwhile', async () => {
    const { level, book } = freeing(0);
    const first = granted(await book.reserve(on(60)));
    const second = book.reserve(on(60));
    const small = book.reserve(on(5));
    expect(await settled(second)).toBe(false);
    level.kept = 50;
    first.release();
    const taken = granted(await second);
    expect(level.kept).toBe(40);
    level.kept = 50;
    taken.release();
    granted(await small).release();
    level.available = 10;
    level.kept = 0;
    expect(await book.reserve(on(60))).toMatchObject({ available: 10 });
  });

  it('frees again for one when something ends while something is freed for it', async () => {
    const level = { kept: 0 };
    let go = (): void => undefined;
    const book = new MemoryLedger({
      ...{ limit: 100, available: () => 1e9, rss: () => level.kept },
      // What comes while it frees is not what it frees.
      relieve: async () => {
        const { kept } = level;
        await new Promise<void>((resolve) => (go = resolve));
        level.kept -= kept;
      },
    });
    level.kept = 80;
    const leave = book.keep(0);
    const waiting = book.reserve(on(60));
    await settled(waiting);
    level.kept += 60;
    leave();
    for (let turn = 0; turn < 4; turn++) {
      go();
      await settled(waiting);
    }
    granted(await waiting).release();
  });

  it('under steady load a large one comes to its turn', async () => {
    const { level, book } = freeing(0);
    let running = granted(await book.reserve(on(30)));
    let served = false;
    const large = book.reserve(on(90)).then((outcome) => {
      served = true;
      granted(outcome).release();
    });
    for (let turn = 0; turn < 5; turn++) {
      const next = book.reserve(on(30));
      level.kept = 30; // whoever runs leaves it behind
      running.release();
      running = granted(await next);
      if (turn === 0) expect(served).toBe(true);
    }
    await large;
    running.release();
  });

  it('waits for what works now to leave what can be freed, rather than refusing', async () => {
    const level = { idle: 0, busy: 400 };
    const book = new MemoryLedger({
      ...{ limit: 1000, available: () => 1e9, rss: () => level.idle + level.busy },
      relieve: ({ enough }) => {
        if (!enough()) level.idle = 0;
        return Promise.resolve();
      },
      graphs: { idle: () => level.idle, all: () => level.idle + level.busy },
    });
    level.busy = 800;
    const running = granted(await book.reserve(on(100)));
    const waiting = book.reserve(on(700));
    expect(await settled(waiting)).toBe(false);
    [level.idle, level.busy] = [400, 400];
    running.release();
    granted(await waiting).release();
    // What would not do either is refused while something runs.
    const other = granted(await book.reserve(on(100)));
    expect(await book.reserve(on(5000))).toMatchObject({ byLimit: true });
    other.release();
  });

  it('stops freeing for one that has left', async () => {
    const { level, book } = freeing(80);
    const controller = new AbortController();
    const waiting = book.reserve(on(100), controller.signal);
    controller.abort(new Error('no longer'));
    await expect(waiting).rejects.toThrow('no longer');
    for (let turn = 0; turn < 20; turn++) await Promise.resolve();
    expect(level.kept).toBeGreaterThan(50);
    granted(await book.reserve(on(10))).release();
  });

  it('counts bytes that were freed beside others that run, as far as they were resident', async () => {
    const level = { rss: 500, told: 300 };
    const book = new MemoryLedger({
      ...{ limit: 1000, available: () => 1e9, rss: () => level.rss },
      relieve: ({ freed }) => {
        level.rss -= 300;
        freed(level.told);
        return Promise.resolve();
      },
      graphs: { idle: () => 400, all: () => 400 },
    });
    level.rss = 900;
    const running = granted(await book.reserve(on(500)));
    expect(book.available('CPU')).toBe(100);
    const more = granted(await book.takeNow(on(350)));
    expect(book.available('CPU')).toBe(50);
    more.release();
    level.told = 1e6;
    expect(await book.takeNow(on(501))).toMatchObject({ needed: 501, available: 500 });
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
