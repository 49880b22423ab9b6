/** What is known of a job while it runs. */
interface Watched {
  /** Milliseconds without a sign that the engine works on it. */
  silent: number;
  /** Milliseconds since it was cancelled; undefined: it was not. */
  cancelled: number | undefined;
  activity: number;
}

/** The engine's own thread of JavaScript only passes messages on: silent for so long, the process stands still. */
const longestSilence = 60_000;

/**
 * Finds out that the engine's process hangs. Time is counted in turns of this process's own timer, so an event loop that
 * was blocked, or a machine that slept, counts as one turn: nobody is blamed for what we did not hear.
 */
export class Watchdog {
  /** Milliseconds between signs of life that the process should give. */
  readonly beat: number;
  readonly #timeout: number;
  readonly #onHang: (how: string) => void;
  readonly #jobs = new Map<number, Watched>();
  #silent = 0;
  #timer: NodeJS.Timeout | undefined;

  /** @param timeout Milliseconds; 0: never. */
  constructor(timeout: number, onHang: (how: string) => void) {
    this.#timeout = timeout;
    this.#onHang = onHang;
    this.beat = Math.round(Math.min(1000, Math.max(20, timeout === 0 ? 1000 : timeout / 8)));
  }

  watch(id: number): void {
    this.#jobs.set(id, { silent: 0, cancelled: undefined, activity: -1 });
    if (this.#timer !== undefined || this.#timeout === 0) return;
    this.#silent = 0;
    this.#timer = setInterval(() => {
      this.#turn();
    }, this.beat);
    this.#timer.unref();
  }

  forget(id: number): void {
    this.#jobs.delete(id);
    if (this.#jobs.size === 0) this.stop();
  }

  /** The job must let go within the time from now, whatever it does. */
  cancel(id: number): void {
    const job = this.#jobs.get(id);
    if (job !== undefined) job.cancelled ??= 0;
  }

  /** The process has sent something. */
  alive(): void {
    this.#silent = 0;
  }

  /** The engine works on the job: an event came, or its count has grown. */
  seen(id: number, activity?: number): void {
    const job = this.#jobs.get(id);
    if (job === undefined || activity === job.activity) return;
    job.silent = 0;
    if (activity !== undefined) job.activity = activity;
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #turn(): void {
    this.#silent += this.beat;
    const limit = Math.min(this.#timeout, longestSilence);
    if (this.#silent >= limit) {
      this.#hang(`gave no sign of life for ${seconds(limit)}`);
      return;
    }
    for (const job of this.#jobs.values()) {
      job.silent += this.beat;
      if (job.cancelled !== undefined) job.cancelled += this.beat;
      if ((job.cancelled ?? 0) >= this.#timeout) {
        this.#hang(`did not let go of a cancelled job within ${seconds(this.#timeout)}`);
        return;
      }
      if (job.silent >= this.#timeout) {
        this.#hang(`made no progress with a job for ${seconds(this.#timeout)}`);
        return;
      }
    }
  }

  #hang(how: string): void {
    this.stop();
    this.#onHang(how);
  }
}

function seconds(milliseconds: number): string {
  return `${milliseconds / 1000} s`;
}
