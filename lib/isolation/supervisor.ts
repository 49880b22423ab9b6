import { DiffusionError } from '../errors/index.js';
import type { BackendFolder, NativeDevice, NativeLogLevel, SkippedModules } from '../native/index.js';
import { EngineProcess } from './engine-process.js';
import type { EngineFacts } from './protocol.js';
import type { StartOptions } from './start.js';

export interface SupervisorOptions extends StartOptions {
  readonly folders: readonly BackendFolder[];
  readonly skip: SkippedModules;
  readonly hangTimeout: number;
}

type Logger = (level: NativeLogLevel, text: string, job: number) => void;

const levels: readonly NativeLogLevel[] = ['debug', 'info', 'warn', 'error'];

/**
 * The engine's process of one runtime. One lives at a time; when it has died, the next call starts another. A call tries
 * once: what keeps dying rejects every call and is never started again by itself.
 */
export class Supervisor {
  readonly #options: SupervisorOptions;
  #engine: EngineProcess | undefined;
  #facts: EngineFacts | undefined;
  #logger: Logger | null = null;
  #level: NativeLogLevel = 'error';
  #closed = false;

  constructor(options: SupervisorOptions) {
    this.#options = options;
  }

  get pid(): number | undefined {
    return this.#engine?.pid;
  }

  /** The process that can take a call now. */
  get usable(): EngineProcess | undefined {
    return this.#engine?.usable === true && this.#engine.facts !== undefined ? this.#engine : undefined;
  }

  /** As the last process told. */
  get devices(): readonly NativeDevice[] {
    return (this.#engine?.facts ?? this.#facts)?.devices ?? [];
  }

  /** The process that lives, or a fresh one. */
  async engine(): Promise<EngineProcess> {
    if (this.#closed) {
      throw new DiffusionError('ERR_DISPOSED', 'The runtime was disposed. Make another with createRuntime.');
    }
    if (this.#engine?.usable !== true) this.#engine = this.#start();
    const engine = this.#engine;
    this.#facts = await engine.ready;
    return engine;
  }

  setLogger(level: NativeLogLevel, logger: Logger | null): void {
    this.#logger = logger;
    this.#level = level;
    this.#engine?.setLogLevel(this.#sentLevel());
  }

  async close(): Promise<void> {
    this.#closed = true;
    const engine = this.#engine;
    if (engine === undefined) return;
    engine.kill('was told to stop');
    await engine.ended;
  }

  #start(): EngineProcess {
    return new EngineProcess({
      ...this.#options,
      logLevel: this.#sentLevel(),
      onLog: (level, text, id) => {
        if (levels.indexOf(level) >= levels.indexOf(this.#level)) this.#logger?.(level, text, id);
      },
    });
  }

  /** Lines of level `info` come in any case: they are what is told when the process dies. */
  #sentLevel(): NativeLogLevel {
    return this.#logger !== null && this.#level === 'debug' ? 'debug' : 'info';
  }
}
