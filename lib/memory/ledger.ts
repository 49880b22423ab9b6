/** Bytes by device: `CPU` is the machine's memory, others are devices with memory of their own. */
export type Need = ReadonlyMap<string, number>;

/** Name of the device whose memory is the machine's. */
export const host = 'CPU';

export function totalOf(need: Need): number {
  let sum = 0;
  for (const bytes of need.values()) sum += bytes;
  return sum;
}

/** Bytes of parts together, e.g. of a model's components. */
export function sumBytes(parts: readonly { readonly bytes: number }[]): number {
  return parts.reduce((sum, { bytes }) => sum + bytes, 0);
}

export interface Reservation {
  readonly need: Need;
  /** Ends it. Idempotent. */
  readonly release: () => void;
  /** Ends it and keeps `bytes` as weights. The result gives them back; idempotent. */
  readonly settle: (bytes: number) => () => void;
}

export interface LedgerOptions {
  /** Bytes; undefined: what the devices have. */
  readonly limit: number | undefined;
  /** Bytes that a device can still give. */
  readonly available: (device: string) => number;
  /** Resident bytes of this process. */
  readonly rss: () => number;
  /** Frees what is kept only to be faster. Default: nothing is kept so. */
  readonly relieve?: ((relief: Relief) => Promise<unknown>) | undefined;
  /** Bytes of weights that `relieve` could free. Default: none. */
  readonly spare?: (() => number) | undefined;
  /** Compiled graphs that are kept. Default: none. */
  readonly graphs?: GraphBytes | undefined;
}

export interface GraphBytes {
  /** That `relieve` could free now. @param except owners whose graphs are not counted. */
  idle(except?: ReadonlySet<object>): number;
  /** Those of models that work as well. */
  all(): number;
}

/** What somebody wants who frees one thing after the other. */
export interface Relief {
  /** Nothing more is wanted. */
  enough(): boolean;
  /** False: so many bytes will not do either, and nothing that is worth something should go for it. */
  wouldDo(bytes: number): boolean;
  /** Is told of bytes that were free before anybody gave back a reservation or weights. */
  freed(bytes: number): void;
}

/** What stands in the way of a need: on which device, how much there is. */
export interface Shortage {
  readonly device: string;
  readonly needed: number;
  readonly available: number;
  /** True when it is the runtime's limit, false when the device has no more. */
  readonly byLimit: boolean;
}

interface Waiter {
  readonly need: Need;
  readonly settle: (outcome: Reservation | Shortage) => void;
  /** What could go for it has gone. */
  relieved: boolean;
}

/** Compiled graphs were measured or estimated, and may be smaller or larger than they say. */
const graphError = 1.25;
const noGraphs: GraphBytes = { idle: () => 0, all: () => 0 };

/**
 * Memory of one runtime. Every load and every job takes its whole need before it begins, so no two of them can count
 * on the same bytes, and gives it back at its end. One that would fit if those that run had ended waits for them, in
 * order; one that would not is refused at once. Nobody who holds a reservation waits for another, so none waits for
 * ever: LoRAs, which a job sets while it runs, take what is free or are refused.
 *
 * The limit bounds the growth of the process's resident memory since the runtime was made. What is resident and was
 * not reserved (pictures that people hold, JavaScript, freed memory that the allocator keeps) is measured whenever
 * nothing runs.
 */
export class MemoryLedger {
  readonly limit: number | undefined;
  readonly #available: (device: string) => number;
  readonly #rss: () => number;
  readonly #base: number;
  readonly #running = new Set<Reservation>();
  readonly #waiting: Waiter[] = [];
  readonly #relieve: LedgerOptions['relieve'];
  readonly #spare: () => number;
  readonly #graphs: GraphBytes;
  #relieving = false;
  #weights = 0;
  #residue = 0;
  #graphsInResidue = 0;

  constructor({ limit, available, rss, relieve, spare = () => 0, graphs = noGraphs }: LedgerOptions) {
    this.limit = limit;
    this.#relieve = relieve;
    this.#spare = spare;
    this.#graphs = graphs;
    this.#available = available;
    this.#rss = rss;
    this.#base = rss();
  }

  /** Bytes under the limit that something new on the device could take now. */
  available(device: string): number {
    const free = this.#available(device) - this.#reserved(device);
    return Math.max(0, this.limit === undefined ? free : Math.min(free, this.#underLimit() - this.#reserved()));
  }

  /**
   * What a need would lack if nothing else ran; undefined: nothing. Others that run are not counted.
   * @param relief bytes that could be freed for it.
   */
  shortage(need: Need, relief = 0): Shortage | undefined {
    const beyond = this.#beyondLimit(need, this.#underLimit() + relief);
    return beyond ?? (this.#running.size > 0 ? undefined : this.#beyondDevices(need, relief));
  }

  /** Bytes that leave as soon as somebody needs them. */
  get spare(): number {
    return this.spareWeights + this.graphs();
  }

  get spareWeights(): number {
    return this.#spare();
  }

  /** Bytes of all compiled graphs, those of models that work among them. */
  get kept(): number {
    return this.#graphs.all();
  }

  /** Those of compiled graphs. @param except owners whose graphs are not counted. */
  graphs(except?: ReadonlySet<object>): number {
    return this.#graphs.idle(except);
  }

  /**
   * Takes a need, now or when others have ended.
   * @returns the reservation, or the shortage that nothing which runs can mend.
   * @throws the signal's reason.
   */
  async reserve(need: Need, signal?: AbortSignal): Promise<Reservation | Shortage> {
    signal?.throwIfAborted();
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        const index = this.#waiting.indexOf(waiter);
        if (index >= 0) this.#waiting.splice(index, 1);
        signal?.removeEventListener('abort', onAbort);
      };
      const waiter: Waiter = {
        need,
        relieved: this.#relieve === undefined,
        settle: (outcome) => {
          leave();
          resolve(outcome);
        },
      };
      const onAbort = (): void => {
        leave();
        reject(signal?.reason);
        this.#next();
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#waiting.push(waiter);
      this.#next();
    });
  }

  /**
   * Takes a need without waiting for others that run, for who holds a reservation already; what `relieve` frees leaves for it.
   * @returns the reservation, or the shortage beside what others have taken.
   */
  async takeNow(need: Need): Promise<Reservation | Shortage> {
    // Of a device, what others have taken may be in use already, and then the system has counted it.
    const missing = (relief = 0): Shortage | undefined =>
      this.#beyondLimit(need, this.#underLimit() + relief - this.#reserved()) ?? this.#beyondDevices(need, relief);
    if (missing() !== undefined) await this.#free(missing, () => missing() === undefined).catch(() => undefined);
    return missing() ?? this.#take(need);
  }

  async #free(missing: (relief?: number) => Shortage | undefined, enough: () => boolean): Promise<void> {
    let resident = this.#rss();
    await this.#relieve?.({
      enough,
      wouldDo: (bytes) => missing(bytes * graphError) === undefined,
      freed: (bytes) => {
        // As far as it was resident, and has left.
        const now = this.#rss();
        const left = Math.min(bytes, Math.max(0, resident - now), this.#graphsInResidue);
        this.#residue -= left;
        this.#graphsInResidue -= left;
        resident = now;
      },
    });
  }

  #beyondLimit(need: Need, underLimit: number): Shortage | undefined {
    const needed = totalOf(need);
    return needed > underLimit
      ? { device: host, needed, available: Math.max(0, underLimit), byLimit: true }
      : undefined;
  }

  #beyondDevices(need: Need, relief: number): Shortage | undefined {
    for (const [device, bytes] of need) {
      const available = this.#available(device) + relief;
      if (bytes > available) return { device, needed: bytes, available, byLimit: false };
    }
    return undefined;
  }

  /** Counts bytes that stay, as weights do. The result gives them back; idempotent. */
  keep(bytes: number): () => void {
    this.#weights += bytes;
    let kept = true;
    return () => {
      if (!kept) return;
      kept = false;
      this.#weights -= bytes;
      this.#left();
    };
  }

  /** A reservation, a shortage, or undefined: wait. */
  #decide(need: Need): Reservation | Shortage | undefined {
    const shortage = this.shortage(need);
    if (shortage !== undefined) return shortage;
    const underLimit = totalOf(need) <= this.#underLimit() - this.#reserved();
    const onDevices = [...need].every(([device, bytes]) => bytes <= this.#available(device) - this.#reserved(device));
    return (underLimit && onDevices) || this.#running.size === 0 ? this.#take(need) : undefined;
  }

  #take(need: Need): Reservation {
    // While nothing runs, the level says what nobody has reserved; afterwards it also holds what jobs have taken.
    this.#measureResidue();
    let open = true;
    const close = (): void => {
      if (!open) return;
      open = false;
      this.#running.delete(reservation);
      this.#left();
    };
    const reservation: Reservation = {
      need,
      release: close,
      settle: (bytes) => {
        const leave = this.keep(bytes);
        close();
        return leave;
      },
    };
    this.#running.add(reservation);
    return reservation;
  }

  /** Something was given back, and there may be more that can be freed. */
  #left(): void {
    const [first] = this.#waiting;
    if (this.#relieving && first !== undefined) first.relieved = false;
    this.#next();
  }

  /** Serves those who wait, in order; while something is freed for the first of them, nobody passes it. */
  #next(): void {
    while (!this.#relieving) {
      const [first] = this.#waiting;
      if (first === undefined) return;
      const outcome = this.#decide(first.need);
      if (outcome === undefined) return;
      if ('release' in outcome || (first.relieved && !this.#canWait(first.need))) first.settle(outcome);
      else if (!first.relieved) void this.#relieveFor(first);
      else {
        // Asked again when something that runs has ended.
        first.relieved = this.#relieve === undefined;
        return;
      }
    }
  }

  /** Graphs of models that work now can go when they have done so. */
  #canWait(need: Need): boolean {
    return this.#running.size > 0 && this.shortage(need, this.#graphs.all()) === undefined;
  }

  async #relieveFor(waiter: Waiter): Promise<void> {
    const { need } = waiter;
    this.#relieving = true;
    waiter.relieved = true;
    const fits = (): boolean => this.shortage(need) === undefined;
    try {
      // Whoever has just ended gives back turns and models as well.
      await new Promise((resolve) => setImmediate(resolve));
      const gone = (): boolean => !this.#waiting.includes(waiter);
      await this.#free(
        (relief) => this.shortage(need, relief),
        () => gone() || fits(),
      );
    } catch {
      // Nothing was freed, and it is decided on what there is.
    } finally {
      this.#relieving = false;
      this.#next();
    }
  }

  #measureResidue(): void {
    if (this.#running.size > 0) return;
    this.#residue = Math.max(0, this.#rss() - this.#base - this.#weights);
    this.#graphsInResidue = Math.min(this.#residue, this.#graphs.all());
  }

  #underLimit(): number {
    this.#measureResidue();
    return (this.limit ?? Infinity) - this.#weights - this.#residue;
  }

  #reserved(device?: string): number {
    let sum = 0;
    for (const { need } of this.#running) sum += device === undefined ? totalOf(need) : (need.get(device) ?? 0);
    return sum;
  }
}
