import type { ChildProcess } from 'node:child_process';
import { DiffusionError, EngineCrashError } from '../errors/index.js';
import type { BackendFolder, NativeEvent, NativeLogLevel, SkippedModules } from '../native/index.js';
import { type Carrier, noCarrier, SharedCarrier } from './carrier.js';
import { describeEnd } from './end.js';
import { EngineLog } from './engine-log.js';
import { pack, unpack } from './pack.js';
import type { EngineFacts, FromEngine, ToEngine } from './protocol.js';
import { startProcess, type StartOptions } from './start.js';
import { Watchdog } from './watchdog.js';

export interface EngineProcessOptions extends StartOptions {
  readonly folders: readonly BackendFolder[];
  readonly skip: SkippedModules;
  /** Milliseconds; 0: never. */
  readonly hangTimeout: number;
  readonly logLevel: NativeLogLevel;
  readonly onLog: (level: NativeLogLevel, text: string, id: number) => void;
}

export interface EngineCall {
  /** Also the handle of what the call makes. */
  readonly id: number;
  readonly target: number;
  readonly method: string;
  readonly params: unknown;
  readonly onEvent?: ((event: NativeEvent) => void) | null;
  readonly handleOf: (value: object) => number | undefined;
}

interface Pending {
  readonly call: EngineCall;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** Milliseconds for what a process has sent to arrive after its end. */
const lastWords = 1000;

/**
 * One process of the engine, from its start to its end; it is never started again. While calls run it keeps this
 * process alive, otherwise not.
 */
export class EngineProcess {
  /** Settles once: with what the engine is, or with the error that kept it from starting. */
  readonly ready: Promise<EngineFacts>;
  /** Resolves when the process is gone and every call of it has been settled. */
  readonly ended: Promise<void>;
  facts: EngineFacts | undefined;
  readonly #child: ChildProcess;
  readonly #carrier: Carrier;
  readonly #watchdog: Watchdog;
  readonly #log = new EngineLog();
  readonly #calls = new Map<number, Pending>();
  readonly #onLog: EngineProcessOptions['onLog'];
  #settleReady!: { resolve: (facts: EngineFacts) => void; reject: (error: Error) => void };
  #ended!: () => void;
  #verdict: string | undefined;
  #exit: { readonly signal: string | null; readonly code: number | null } | undefined;
  #dead = false;
  #over = false;
  #startTimer: NodeJS.Timeout | undefined;

  constructor(options: EngineProcessOptions) {
    this.#onLog = options.onLog;
    this.ready = new Promise((resolve, reject) => {
      this.#settleReady = { resolve, reject };
    });
    this.ready.catch(() => undefined);
    this.ended = new Promise((resolve) => {
      this.#ended = resolve;
    });
    this.#watchdog = new Watchdog(options.hangTimeout, (how) => {
      this.kill(how);
    });
    const { child, memory } = startProcess(options);
    this.#child = child;
    this.#carrier = memory === null ? noCarrier : new SharedCarrier(memory, 'parent');
    this.#listen(child);
    this.#hold();
    this.#send({
      type: 'start',
      binary: options.binary,
      folders: options.folders,
      skip: options.skip,
      sharedBytes: memory?.bytes ?? 0,
      beat: this.#watchdog.beat,
      logLevel: options.logLevel,
    });
    if (options.hangTimeout > 0) {
      this.#startTimer = setTimeout(() => {
        this.kill('did not start in time');
      }, options.hangTimeout).unref();
    }
  }

  get pid(): number | undefined {
    return this.#dead ? undefined : this.#child.pid;
  }

  /** Can take calls, as far as is known here. */
  get usable(): boolean {
    return !this.#dead && this.#verdict === undefined;
  }

  call(call: EngineCall): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#over) {
        reject(this.#crash());
        return;
      }
      const { id, target, method, onEvent } = call;
      const params = pack(call.params, this.#carrier, call.handleOf);
      this.#calls.set(id, { call, resolve, reject });
      this.#watchdog.watch(id);
      this.#hold();
      this.#send({ type: 'call', id, target, method, params, events: typeof onEvent === 'function' });
    });
  }

  cancel(id: number): void {
    this.#watchdog.cancel(id);
    this.#send({ type: 'cancel', id });
  }

  drop(handle: number): void {
    this.#send({ type: 'drop', handle });
  }

  setLogLevel(level: NativeLogLevel): void {
    this.#send({ type: 'log-level', level });
  }

  /** Ends the process. @param verdict What it did, as the rest of a sentence, for those whose jobs are lost. */
  kill(verdict: string): void {
    if (this.#dead) return;
    this.#verdict ??= verdict;
    this.#hold();
    this.#child.kill('SIGKILL');
  }

  #listen(child: ChildProcess): void {
    child.on('message', (message) => {
      this.#receive(message as FromEngine);
    });
    for (const [name, stream] of [
      ['out', child.stdout],
      ['err', child.stderr],
    ] as const) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#log.write(name, text);
      });
      stream?.on('error', () => undefined);
    }
    child.on('error', (error) => {
      this.#log.add(error.message);
      if (child.pid === undefined) this.#finish('could not be started', error);
    });
    child.on('exit', (code, signal) => {
      this.#dead = true;
      this.#exit = { code, signal };
      this.#watchdog.stop();
      // What it has sent before is still on its way. A grandchild could hold the pipes open for ever.
      const timer = setTimeout(() => {
        this.#finish();
      }, lastWords);
      if (!this.#waited) timer.unref();
      child.on('close', () => {
        clearTimeout(timer);
        this.#finish();
      });
    });
  }

  #receive(message: FromEngine): void {
    this.#watchdog.alive();
    switch (message.type) {
      case 'ready':
        this.#started(message);
        break;
      case 'failed':
        this.#settleReady.reject(new DiffusionError('ERR_BACKEND_UNAVAILABLE', message.message));
        this.kill('could not load the addon');
        break;
      case 'event':
        this.#watchdog.seen(message.id);
        this.#calls.get(message.id)?.call.onEvent?.(this.#unpack(message.event) as NativeEvent);
        break;
      case 'done':
        if (this.facts !== undefined) this.facts = { ...this.facts, devices: message.devices };
        this.#settle(message.id, ({ resolve }) => {
          resolve(this.#unpack(message.value));
        });
        break;
      case 'error':
        this.#settle(message.id, ({ reject }) => {
          const { code } = message;
          reject(Object.assign(new Error(message.message), code === undefined ? {} : { code }));
        });
        break;
      case 'log':
        this.#log.add(`  ${message.level}: ${message.text}`);
        this.#watchdog.seen(message.id);
        this.#onLog(message.level, message.text, message.id);
        break;
      case 'beat':
        for (const [id, activity] of message.jobs) this.#watchdog.seen(id, activity);
        break;
      case 'freed':
        this.#carrier.freed(message.blocks);
        break;
    }
  }

  #started({ versions, tables, backends, devices, cpuFeatures }: EngineFacts): void {
    clearTimeout(this.#startTimer);
    this.facts = { versions, tables, backends, devices, cpuFeatures };
    this.#hold();
    this.#settleReady.resolve(this.facts);
  }

  #settle(id: number, how: (pending: Pending) => void): void {
    const pending = this.#calls.get(id);
    if (pending === undefined) return;
    this.#calls.delete(id);
    this.#watchdog.forget(id);
    how(pending);
    this.#hold();
  }

  /** Somebody waits: for the engine to start, for a call, or for the end that was ordered. */
  get #waited(): boolean {
    return this.#calls.size > 0 || this.facts === undefined || this.#verdict !== undefined;
  }

  /** Keeps this process alive while somebody waits. */
  #hold(): void {
    if (this.#waited) this.#child.ref();
    else this.#child.unref();
  }

  #finish(how?: string, cause?: unknown): void {
    if (this.#over) return;
    this.#dead = true;
    this.#over = true;
    clearTimeout(this.#startTimer);
    this.#watchdog.stop();
    for (const pending of this.#calls.values()) pending.reject(this.#crash(how, cause));
    this.#calls.clear();
    this.#settleReady.reject(this.#crash(how, cause));
    this.#carrier.close();
    this.#ended();
  }

  #crash(how?: string, cause?: unknown): EngineCrashError {
    const { signal = null, code: exitCode = null } = this.#exit ?? {};
    const end = { pid: this.#child.pid, signal, exitCode, log: this.#log.lines };
    return new EngineCrashError(how ?? describeEnd(signal, exitCode, this.#verdict, this.#log), end, cause);
  }

  #unpack(value: unknown): unknown {
    const blocks: number[] = [];
    const result = unpack(value, this.#carrier, blocks, () => undefined);
    if (blocks.length > 0) this.#send({ type: 'freed', blocks });
    return result;
  }

  #send(message: ToEngine): void {
    // When the channel is gone the end of the process is on its way, and tells everybody.
    if (this.#child.connected) this.#child.send(message, () => undefined);
  }
}
