import { DiffusionError } from '../errors/index.js';
import type { GenerateEvent } from './events.js';

/**
 * Events between a job and a slower reader. A newer progress or preview replaces the unread one before it; pictures
 * and warnings are never dropped.
 */
export class EventBuffer {
  #events: GenerateEvent[] = [];
  #ended = false;
  #failure: { readonly error: unknown } | undefined;
  #wake: (() => void) | undefined;

  push(event: GenerateEvent): void {
    if (event.type === 'progress' || event.type === 'preview')
      this.#events = this.#events.filter(({ type }) => type !== event.type);
    this.#events.push(event);
    this.#wake?.();
  }

  end(): void {
    this.#ended = true;
    this.#wake?.();
  }

  /** Pictures that are done are still handed out before the error is thrown. */
  fail(error: unknown): void {
    this.#failure = { error };
    this.#events = this.#events.filter(({ type }) => type === 'image');
    this.#wake?.();
  }

  /** The next event; undefined when the job has ended and everything was read. */
  async take(): Promise<GenerateEvent | undefined> {
    for (;;) {
      const event = this.#events.shift();
      if (event !== undefined) return event;
      if (this.#failure !== undefined) throw this.#failure.error;
      if (this.#ended) return undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

/**
 * A job as a stream of its events. The job starts with the first read; leaving the loop early aborts it.
 * @param start starts the job with a listener for everything and a signal.
 */
export async function* streamJob(
  start: (onEvent: (event: GenerateEvent) => void, signal: AbortSignal) => Promise<unknown>,
  signal: AbortSignal | undefined,
): AsyncGenerator<GenerateEvent, void, undefined> {
  signal?.throwIfAborted();
  const controller = new AbortController();
  const onAbort = (): void => {
    controller.abort(signal?.reason);
  };
  signal?.addEventListener('abort', onAbort, { once: true });
  const buffer = new EventBuffer();
  const job = start((event) => {
    buffer.push(event);
  }, controller.signal).then(
    () => {
      buffer.end();
    },
    (error: unknown) => {
      buffer.fail(error);
    },
  );
  try {
    for (;;) {
      const event = await buffer.take();
      if (event === undefined) return;
      yield event;
    }
  } finally {
    signal?.removeEventListener('abort', onAbort);
    controller.abort(new DiffusionError('ERR_ABORTED', 'The stream was left before its job had ended.'));
    await job;
  }
}
