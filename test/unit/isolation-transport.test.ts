import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Carrier, noCarrier, SharedCarrier } from '../../lib/isolation/carrier.js';
import { EngineLog } from '../../lib/isolation/engine-log.js';
import { describeEnd } from '../../lib/isolation/end.js';
import { pack, unpack } from '../../lib/isolation/pack.js';
import { Watchdog } from '../../lib/isolation/watchdog.js';
import type { NativeSharedMemory } from '../../lib/native/contract.js';

class FakeMemory implements NativeSharedMemory {
  readonly fd = 4;
  readonly bytes: number;
  readonly trimmed: [number, number][] = [];
  readonly #data: Uint8Array;

  constructor(bytes: number) {
    this.bytes = bytes;
    this.#data = new Uint8Array(bytes);
  }

  write(offset: number, data: Uint8Array): void {
    this.#data.set(data, offset);
  }

  read(offset: number, into: Uint8Array): void {
    into.set(this.#data.subarray(offset, offset + into.length));
  }

  trim(offset: number, length: number): void {
    this.trimmed.push([offset, length]);
  }

  close(): void {
    this.#data.fill(0);
  }
}

const bytes = (length: number, first: number): Uint8Array => Uint8Array.from({ length }, (_, i) => (first + i) % 256);
const through = (value: unknown, from: Carrier, to: Carrier): { value: unknown; taken: number[] } => {
  const taken: number[] = [];
  const message = structuredClone(pack(value, from, () => undefined));
  return { value: unpack(message, to, taken, () => undefined), taken };
};

describe('shared memory between two processes', () => {
  it('keeps blocks that are on their way apart, in each direction, and uses freed room again', () => {
    const memory = new FakeMemory(4096);
    const [parent, engine] = [new SharedCarrier(memory, 'parent'), new SharedCarrier(memory, 'engine')];
    const sent = [bytes(700, 1), bytes(700, 2), bytes(500, 3)];
    const places = sent.map((block) => parent.put(block));
    const back = engine.put(bytes(2000, 9));
    for (const [index, block] of sent.entries()) {
      const into = new Uint8Array(block.length);
      engine.take(places[index] as number, into);
      expect(into).toEqual(block);
    }
    const answer = new Uint8Array(2000);
    parent.take(back as number, answer);
    expect(answer).toEqual(bytes(2000, 9));
    // Full: what does not fit goes another way, until something was read.
    expect(parent.put(bytes(300, 4))).toBeNull();
    parent.freed([places[1] as number]);
    expect(parent.put(bytes(300, 4))).toBe(places[1]);
    expect(parent.put(bytes(2049, 4))).toBeNull();
  });

  it('gives the memory of a large block back when nothing is on its way', () => {
    const memory = new FakeMemory(40 * 2 ** 20);
    const carrier = new SharedCarrier(memory, 'parent');
    const [first, second] = [carrier.put(new Uint8Array(15 * 2 ** 20)), carrier.put(new Uint8Array(64))];
    carrier.freed([first as number]);
    expect(memory.trimmed).toEqual([]);
    carrier.freed([second as number]);
    const [[start = 0, length = 0] = []] = memory.trimmed;
    expect(start + length).toBe(15 * 2 ** 20 + 64);
  });
});

describe.each([
  ['shared memory', () => new FakeMemory(2 ** 20)],
  ['messages alone', () => null],
])('parameters and results through %s', (_, make) => {
  const memory = make();
  const from = memory === null ? noCarrier : new SharedCarrier(memory, 'parent');
  const to = memory === null ? noCarrier : new SharedCarrier(memory, 'engine');

  it('arrive as they were', () => {
    const value = {
      prompt: 'a',
      eta: NaN,
      none: null,
      deep: [{ mask: new Float32Array([1, 2]) }, { data: bytes(10_000, 7) }],
      big: Float32Array.from({ length: 5000 }, (_unused, i) => i / 3),
      layers: new Int32Array(2000).fill(-5),
      view: bytes(9000, 1).subarray(1000, 8000),
    };
    const result = through(value, from, to);
    expect(result.value).toEqual(value);
    expect(result.taken).toHaveLength(memory === null ? 0 : 4);
    from.freed(result.taken);
  });

  it('turn buffers into plain arrays', () => {
    for (const length of [100, 10_000]) {
      const { value } = through(Buffer.alloc(length, 3), from, to);
      expect(Object.getPrototypeOf(value)).toBe(Uint8Array.prototype);
      expect(value).toEqual(new Uint8Array(length).fill(3));
    }
  });

  it('name things of the other side by their handles', () => {
    const [ours, theirs] = [{ dispose: () => undefined }, { real: true }];
    const message = structuredClone(pack({ cond: ours }, from, (value) => (value === ours ? 7 : undefined)));
    expect(unpack(message, to, [], (handle) => (handle === 7 ? theirs : undefined))).toEqual({ cond: theirs });
  });

  it('refuse what the other side would not understand', () => {
    expect(() => pack(new Float64Array(4), from, () => undefined)).toThrow(/Float64Array/);
  });
});

describe('the watchdog', () => {
  let verdicts: string[] = [];
  const dog = (timeout: number): Watchdog => new Watchdog(timeout, (how) => void verdicts.push(how));
  beforeEach(() => {
    verdicts = [];
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });
  /** Lets time pass with a beat of the process each second. */
  const pass = (watchdog: Watchdog, seconds: number, beat: (second: number) => void): void => {
    for (let second = 0; second < seconds; second++) {
      vi.advanceTimersByTime(1000);
      watchdog.alive();
      beat(second);
    }
  };

  it('leaves a job alone that goes on, however slowly', () => {
    const watchdog = dog(100_000);
    watchdog.watch(1);
    pass(watchdog, 1000, (second) => {
      watchdog.seen(1, Math.floor(second / 90));
    });
    expect(verdicts).toEqual([]);
    watchdog.forget(1);
  });

  it('finds a job that does nothing while another goes on', () => {
    const watchdog = dog(100_000);
    watchdog.watch(1);
    watchdog.watch(2);
    pass(watchdog, 102, (second) => {
      watchdog.seen(1, 5);
      watchdog.seen(2, second);
    });
    expect(verdicts).toEqual(['made no progress with a job for 100 s']);
  });

  it('finds a process that is silent, sooner', () => {
    const watchdog = dog(100_000);
    watchdog.watch(1);
    vi.advanceTimersByTime(61_000);
    expect(verdicts).toEqual(['gave no sign of life for 60 s']);
  });

  it('finds a cancelled job that does not let go, busy or not', () => {
    const watchdog = dog(100_000);
    watchdog.watch(1);
    watchdog.cancel(1);
    pass(watchdog, 99, (second) => {
      watchdog.seen(1, second);
    });
    expect(verdicts).toEqual([]);
    pass(watchdog, 2, (second) => {
      watchdog.seen(1, 1000 + second);
    });
    expect(verdicts).toEqual(['did not let go of a cancelled job within 100 s']);
  });

  it('blames nobody while nothing runs, nor with 0', () => {
    const idle = dog(1000);
    idle.watch(1);
    idle.forget(1);
    const off = dog(0);
    off.watch(1);
    vi.advanceTimersByTime(1e7);
    expect(verdicts).toEqual([]);
  });
});

describe('the log of an engine', () => {
  it('puts lines together and keeps the last', () => {
    const log = new EngineLog();
    log.write('err', 'a line in ');
    log.write('out', 'another\n');
    log.write('err', 'two parts\nand an open one');
    expect(log.lines).toEqual(['another', 'a line in two parts', 'and an open one']);
    for (let i = 0; i < 200; i++) log.add(`line ${String(i)}`);
    expect(log.lines.length).toBeLessThanOrEqual(64);
    log.add('x'.repeat(5000));
    expect(Math.max(...log.lines.map(({ length }) => length))).toBeLessThanOrEqual(400);
  });

  it('is what the engine said last, where it could', () => {
    const log = new EngineLog();
    log.add('  info: before');
    log.write(
      'err',
      'node-diffusion: the engine stopped: ggml.c:1: GGML_ASSERT(a == b) failed\nlast lines:\n  info: before\n',
    );
    expect(log.lines).toEqual([
      'node-diffusion: the engine stopped: ggml.c:1: GGML_ASSERT(a == b) failed',
      'last lines:',
      '  info: before',
    ]);
    expect(describeEnd('SIGABRT', null, undefined, log)).toBe(
      'aborted (SIGABRT): ggml.c:1: GGML_ASSERT(a == b) failed',
    );
  });

  it.each([
    ['SIGKILL', null, undefined, /out of memory/],
    ['SIGKILL', null, 'made no progress', /^made no progress and was ended$/],
    ['SIGSEGV', null, undefined, /memory fault \(SIGSEGV\)/],
    ['SIGXCPU', null, undefined, /a signal \(SIGXCPU\)/],
    [null, 7, undefined, /exit code 7/],
  ] as const)('goes with the end %s %s %s', (signal, code, verdict, expected) => {
    expect(describeEnd(signal, code, verdict, new EngineLog())).toMatch(expected);
  });
});
