import { JobScope } from '../native/index.js';
import type { JobKind, QueueEvent, QueueState } from './events.js';
import { notify } from './listeners.js';
import { Turn } from './turn.js';

export interface QueuedJob {
  readonly id: number;
  readonly kind: JobKind;
  /** Jobs before this one; 0 for the running one. */
  readonly position: number;
  readonly running: boolean;
}

/** What people see of the queue of a model. */
export interface QueueView {
  /** Jobs in the queue, the running one included. */
  readonly length: number;
  readonly jobs: readonly QueuedJob[];
  /** Calls the listener with every event of this queue; the result unsubscribes. */
  subscribe(listener: (event: QueueEvent) => void): () => void;
}

export interface EnqueueOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onQueue?: ((event: QueueEvent) => void) | undefined;
  /** Preparation that goes on while the job waits; when it fails, the job leaves the queue at once. */
  readonly ready?: Promise<unknown> | undefined;
}

interface Entry {
  readonly id: number;
  readonly kind: JobKind;
  readonly controller: AbortController;
  readonly onQueue: ((event: QueueEvent) => void) | undefined;
  /** Ends its waiting for the turn. */
  readonly stopWaiting: AbortController;
  /** Runs the job and waits for its native work; `settle` then tells the caller. */
  readonly start: (seat: Seat) => Promise<{ readonly state: QueueState; readonly settle: () => void }>;
  position: number;
  running: boolean;
}

/** A running job's turn with the model of the queue. */
export interface Seat {
  /** Gives the turn back before the job ends: it works with the model no more, or takes another turn. */
  readonly release: () => void;
}

/**
 * First in, first out; one job runs at a time, when it has the model's turn, which passes of other models' jobs take as
 * well. A job keeps its place until its native work has let go, even when its
 * promise was rejected by an abort before: the next one never meets the leftovers of the one before.
 */
export class JobQueue implements QueueView {
  readonly #entries: Entry[] = [];
  readonly #listeners = new Set<(event: QueueEvent) => void>();
  readonly #model: string | undefined;
  readonly turn: Turn;
  #lastId = 0;
  #busy = false;
  #running: Promise<void> = Promise.resolve();
  #closed: (() => Error) | undefined;

  /** @param model Whose queue it is, for log lines. */
  constructor(model?: string, turn = new Turn()) {
    this.#model = model;
    this.turn = turn;
  }

  get length(): number {
    return this.#entries.length;
  }

  get jobs(): readonly QueuedJob[] {
    return this.#entries.map(({ id, kind, running }, position) => ({ id, kind, position, running }));
  }

  subscribe(listener: (event: QueueEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Adds a job. The promise rejects with exactly `signal.reason` as soon as the signal aborts: a waiting job is taken
   * out, a running one is cancelled. With a signal that is aborted already nothing is queued.
   */
  enqueue<T>(kind: JobKind, options: EnqueueOptions, run: (scope: JobScope, seat: Seat) => Promise<T>): Promise<T> {
    const { signal, onQueue, ready } = options;
    return new Promise<T>((resolve, reject) => {
      this.assertOpen();
      if (signal?.aborted === true) {
        reject(signal.reason);
        return;
      }
      const controller = new AbortController();
      const onAbort = (): void => {
        controller.abort(signal?.reason);
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      const forget = (): void => signal?.removeEventListener('abort', onAbort);
      const id = ++this.#lastId;
      const start: Entry['start'] = async (seat) => {
        const scope = new JobScope(controller.signal, {
          ...(this.#model === undefined ? {} : { model: this.#model }),
          kind,
          job: id,
        });
        let state: QueueState = 'finished';
        let settle: () => void;
        try {
          const value = await run(scope, seat);
          scope.check();
          forget();
          settle = () => {
            resolve(value);
          };
        } catch (error) {
          state = controller.signal.aborted ? 'aborted' : 'failed';
          settle = () => {
            reject(error);
          };
        }
        await scope.idle();
        forget();
        return { state, settle };
      };
      const entry: Entry = {
        ...{ id, kind, controller, onQueue, start },
        ...{ stopWaiting: new AbortController(), position: this.#entries.length, running: false },
      };
      const giveUp = (state: QueueState, reason: unknown): void => {
        reject(reason);
        // The running one leaves by itself, when its native work has let go.
        if (entry.running || !this.#entries.includes(entry)) return;
        forget();
        entry.stopWaiting.abort(reason);
        this.#leave(entry, state);
      };
      controller.signal.addEventListener('abort', () => {
        giveUp('aborted', controller.signal.reason);
      });
      this.#entries.push(entry);
      this.#emit(entry, 'queued');
      this.#next();
      ready?.catch((error: unknown) => {
        giveUp('failed', error);
      });
    });
  }

  /** Throws what {@link close} was given, when the queue is closed. */
  assertOpen(): void {
    if (this.#closed !== undefined) throw this.#closed();
  }

  /**
   * Takes no more jobs. Those that wait are rejected with `reason()`; the running one is waited for, or with `abort`
   * cancelled and rejected with that. Resolves when nothing runs any more. May be called again, then with `abort`.
   */
  async close(reason: () => Error, abort?: Error): Promise<void> {
    this.#closed ??= reason;
    const waiting = this.#entries.filter(({ running }) => !running);
    for (const entry of waiting.reverse()) entry.controller.abort(reason());
    if (abort !== undefined) this.#entries[0]?.controller.abort(abort);
    await this.#running;
  }

  #next(): void {
    const entry = this.#entries[0];
    if (entry === undefined || this.#busy) return;
    this.#busy = true;
    this.#running = this.#run(entry);
  }

  async #run(entry: Entry): Promise<void> {
    const release = this.turn.tryTake() ?? (await this.turn.take(entry.stopWaiting.signal).catch(() => undefined));
    if (release === undefined || !this.#entries.includes(entry)) {
      // It has left the queue while it waited.
      release?.();
      this.#busy = false;
      this.#next();
      return;
    }
    entry.running = true;
    this.#emit(entry, 'started');
    const { state, settle } = await entry.start({ release });
    release();
    this.#busy = false;
    this.#leave(entry, state);
    // Only now, so that who has waited for a job does not find it in the queue. An abort has rejected long before.
    settle();
    this.#next();
  }

  #leave(entry: Entry, state: QueueState): void {
    const index = this.#entries.indexOf(entry);
    if (index < 0) return;
    this.#entries.splice(index, 1);
    entry.position = 0;
    this.#emit(entry, state);
    for (const [position, other] of this.#entries.entries()) {
      if (other.position === position) continue;
      other.position = position;
      this.#emit(other, 'moved');
    }
  }

  #emit({ id, kind, position, onQueue }: Entry, state: QueueState): void {
    const event: QueueEvent = { type: 'queue', state, id, kind, position, length: this.#entries.length };
    notify(onQueue, event);
    for (const listener of this.#listeners) notify(listener, event);
  }
}
