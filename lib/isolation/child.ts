/**
 * The engine's process: loads the addon, does what messages ask, sends back what comes of it. It takes no decision. Its
 * parent (engine-process.ts) starts it with a channel, and it ends with that channel.
 */
import { createRequire } from 'node:module';
import { loadBackends } from '../native/backends.js';
import type { NativeAddon, NativeEvent, NativeJob } from '../native/contract.js';
import { type Carrier, noCarrier, SharedCarrier } from './carrier.js';
import { pack, unpack } from './pack.js';
import { type EngineFacts, type FromEngine, sharedDescriptor, type ToEngine } from './protocol.js';

type Message<T extends ToEngine['type']> = Extract<ToEngine, { type: T }>;
type Method = (
  params: unknown,
  onEvent: ((event: NativeEvent) => void) | null,
) => NativeJob<unknown> | Promise<unknown>;

class Server {
  readonly #addon: NativeAddon;
  readonly #carrier: Carrier;
  readonly #beat: number;
  /** Things that live here, by handle; 0 is the addon. */
  readonly #objects = new Map<number, object>();
  readonly #jobs = new Map<number, NativeJob<unknown>>();
  /** Ids of calls by the addon's own ids of jobs. */
  readonly #calls = new Map<number, number>();
  #beating: NodeJS.Timeout | undefined;

  constructor(start: Message<'start'>) {
    this.#addon = createRequire(start.binary)(start.binary) as NativeAddon;
    this.#objects.set(0, this.#addon);
    this.#beat = start.beat;
    this.#addon.guardEngineProcess();
    const memory = start.sharedBytes === 0 ? null : this.#addon.openSharedMemory(sharedDescriptor, start.sharedBytes);
    this.#carrier = memory === null ? noCarrier : new SharedCarrier(memory, 'engine');
    this.#log(start);
    const backends = loadBackends(this.#addon, start.folders, start.skip);
    const { versions, tables } = this.#addon;
    const facts: EngineFacts = {
      versions,
      tables,
      backends,
      devices: this.#addon.devices(),
      cpuFeatures: this.#addon.cpuFeatures(),
    };
    send({ type: 'ready', ...facts });
  }

  receive(message: ToEngine): void {
    switch (message.type) {
      case 'call':
        this.#call(message);
        break;
      case 'cancel':
        this.#jobs.get(message.id)?.cancel();
        break;
      case 'drop':
        this.#drop(message.handle);
        break;
      case 'freed':
        this.#carrier.freed(message.blocks);
        break;
      case 'log-level':
        this.#log({ logLevel: message.level });
        break;
      case 'start':
        throw new Error('Started twice');
    }
  }

  #log({ logLevel }: Pick<Message<'start'>, 'logLevel'>): void {
    this.#addon.setLogger(logLevel, (level, text, job) => {
      send({ type: 'log', level, text, id: this.#calls.get(job) ?? 0 });
    });
  }

  #call({ id, target, method, params, events }: Message<'call'>): void {
    const onEvent = (event: NativeEvent): void => {
      send({ type: 'event', id, event: this.#pack(event) });
    };
    try {
      const object = this.#objects.get(target) as Readonly<Record<string, Method | undefined>> | undefined;
      const call = object?.[method];
      if (call === undefined) throw coded('ERR_DISPOSED', `There is no ${method} of ${String(target)}`);
      const started = call.call(object, this.#unpack(params), events ? onEvent : null);
      const job = 'promise' in started ? started : { promise: started, cancel: () => undefined };
      this.#jobs.set(id, job);
      if (method === 'dispose') this.#objects.delete(target);
      if (job.id !== undefined) this.#calls.set(job.id, id);
      job.promise.then(
        (value) => {
          this.#end(id, job, { type: 'done', id, value: this.#result(id, value), devices: this.#addon.devices() });
        },
        (error: unknown) => {
          this.#end(id, job, failed(id, error));
        },
      );
      this.#beating ??= setInterval(() => {
        this.#sendBeat();
      }, this.#beat);
    } catch (error) {
      send(failed(id, error));
    }
  }

  #end(id: number, job: NativeJob<unknown>, message: FromEngine): void {
    this.#jobs.delete(id);
    // Log lines of a job may come after its end.
    if (job.id !== undefined) setTimeout(() => this.#calls.delete(job.id as number), 1000).unref();
    if (this.#jobs.size === 0) {
      clearInterval(this.#beating);
      this.#beating = undefined;
    }
    send(message);
  }

  /** A thing with methods stays here; its plain properties go out. */
  #result(id: number, value: unknown): unknown {
    if (!isThing(value)) return this.#pack(value);
    this.#objects.set(id, value);
    return this.#pack(Object.fromEntries(Object.entries(value).filter(([, entry]) => typeof entry !== 'function')));
  }

  #drop(handle: number): void {
    const object = this.#objects.get(handle) as { dispose?: () => unknown } | undefined;
    this.#objects.delete(handle);
    void Promise.resolve(object?.dispose?.()).catch(() => undefined);
  }

  #pack(value: unknown): unknown {
    return pack(value, this.#carrier, () => undefined);
  }

  #unpack(value: unknown): unknown {
    const blocks: number[] = [];
    try {
      return unpack(value, this.#carrier, blocks, (handle) => this.#objects.get(handle));
    } finally {
      if (blocks.length > 0) send({ type: 'freed', blocks });
    }
  }

  #sendBeat(): void {
    send({ type: 'beat', jobs: [...this.#jobs].map(([id, job]) => [id, job.activity?.() ?? 0] as const) });
  }
}

function isThing(value: unknown): value is object {
  return typeof value === 'object' && value !== null && typeof (value as { dispose?: unknown }).dispose === 'function';
}

function coded(code: string, message: string): Error {
  return Object.assign(new Error(message), { code });
}

function failed(id: number, error: unknown): FromEngine {
  const code = error instanceof Error && 'code' in error ? String(error.code) : undefined;
  return { type: 'error', id, code, message: error instanceof Error ? error.message : String(error) };
}

function send(message: FromEngine): void {
  // Without a channel there is nobody left to tell, and `disconnect` ends the process.
  if (process.connected) process.send?.(message, undefined, undefined, () => undefined);
}

// At once and whatever runs: there is nothing here to be saved, and the end must not wait for an evaluation.
process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'));
// They are sent to whole groups of processes (by a terminal, by a service manager) and are for the parent to answer.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);

let server: Server | undefined;
process.on('message', (message: ToEngine) => {
  if (message.type !== 'start') {
    server?.receive(message);
    return;
  }
  try {
    server = new Server(message);
  } catch (error) {
    send({ type: 'failed', message: error instanceof Error ? error.message : String(error) });
  }
});
