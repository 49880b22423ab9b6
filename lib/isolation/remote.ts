import { statSync } from 'node:fs';
import { DiffusionError } from '../errors/index.js';
import type { NativeEvent, NativeJob } from '../native/index.js';
import type { EngineProcess } from './engine-process.js';
import { methods, type MethodSpec, type RemoteKind } from './methods.js';
import type { Supervisor } from './supervisor.js';

type OnEvent = ((event: NativeEvent) => void) | null | undefined;

/** Ids of calls: beyond those that the addon gives to jobs in this process. */
let lastId = 2 ** 32;

/** Our own object for each thing in the engine's process that callers hold. */
const remotes = new WeakMap<object, RemoteThing>();

/** What nobody holds any more is freed there too. */
const collected = new FinalizationRegistry<RemoteThing>((thing) => {
  thing.drop();
});

/** How a thing was made, so that it can be made again. */
interface Recipe {
  readonly supervisor: Supervisor;
  readonly owner: RemoteThing | null;
  readonly method: string;
  readonly params: unknown;
}

interface Living {
  readonly engine: EngineProcess;
  readonly handle: number;
}

/**
 * A thing in the engine's process: a model, an upscaler, a conditioning. When that process has died, the thing is made
 * again in the next one by the call that made it first, at its next use.
 */
export class RemoteThing {
  readonly #recipe: Recipe;
  readonly #files: string;
  readonly #replays = new Map<string, unknown>();
  #living: Living;
  #making: { readonly engine: EngineProcess; readonly handle: Promise<number> } | undefined;
  #disposed = false;

  constructor(recipe: Recipe, living: Living) {
    this.#recipe = recipe;
    this.#living = living;
    this.#files = filesOf(recipe.params);
  }

  get disposed(): boolean {
    return this.#disposed;
  }

  /** Its handle in a process; undefined when it must be made there first. */
  handleIn(engine: EngineProcess): number | undefined {
    return this.#living.engine === engine ? this.#living.handle : undefined;
  }

  /** Its handle in a process, made there when it is not there yet. */
  async make(engine: EngineProcess): Promise<number> {
    const known = this.handleIn(engine);
    if (known !== undefined) return known;
    if (this.#making?.engine === engine) return this.#making.handle;
    const handle = this.#remake(engine);
    this.#making = { engine, handle };
    try {
      return await handle;
    } finally {
      if (this.#making.handle === handle) this.#making = undefined;
    }
  }

  /** Remembers a call that changed it. */
  changed(method: string, params: unknown): void {
    this.#replays.delete(method);
    this.#replays.set(method, params);
  }

  /** Frees it where it lives. Idempotent; a thing of a process that died is gone already. */
  drop(): void {
    this.#disposed = true;
    const { engine, handle } = this.#living;
    engine.drop(handle);
  }

  /** As {@link drop}, and resolves when it is freed. */
  async dispose(): Promise<void> {
    this.#disposed = true;
    await this.#making?.handle.catch(() => undefined);
    const { engine, handle } = this.#living;
    if (!engine.usable) return;
    const call = { id: ++lastId, target: handle, method: 'dispose', params: undefined, handleOf };
    // Its process dies: then its memory is free as well.
    await engine.call(call).catch(() => undefined);
  }

  async #remake(engine: EngineProcess): Promise<number> {
    const { owner, method, params } = this.#recipe;
    if (filesOf(params) !== this.#files) {
      const hint = 'Load the model again.';
      throw new DiffusionError('ERR_MODEL_CORRUPT', `A file of the model has changed since it was loaded. ${hint}`, {
        hint,
      });
    }
    const target = owner === null ? 0 : await owner.make(engine);
    await makeAll(params, engine);
    const handle = ++lastId;
    await engine.call({ id: handle, target, method, params, handleOf: handlesIn(engine) });
    this.#living = { engine, handle };
    for (const [change, given] of this.#replays) {
      await makeAll(given, engine);
      await engine.call({ id: ++lastId, target: handle, method: change, params: given, handleOf: handlesIn(engine) });
    }
    if (this.#disposed) engine.drop(handle);
    return handle;
  }
}

/** One operation as the contract wants it. It runs on the process that lives, or on a fresh one. */
function startCall(
  supervisor: Supervisor,
  facade: object | null,
  method: string,
  spec: MethodSpec,
  params: unknown,
  onEvent: OnEvent,
): NativeJob<unknown> {
  const id = ++lastId;
  const target = facade === null ? null : (remotes.get(facade) ?? null);
  if (target?.disposed === true) throw Object.assign(new Error('It is disposed.'), { code: 'ERR_DISPOSED' });
  let running: EngineProcess | undefined;
  let cancelled = false;
  let stop: (error: Error) => void = () => undefined;
  const stopped = new Promise<never>((_, reject) => {
    stop = reject;
  });
  stopped.catch(() => undefined);

  const send = async (engine: EngineProcess, handle: number): Promise<unknown> => {
    if (cancelled) throw cancelError();
    running = engine;
    const value = await engine.call({
      id,
      target: handle,
      method,
      params,
      onEvent: onEvent ?? null,
      handleOf: handlesIn(engine),
    });
    if (spec.replays === true) target?.changed(method, params);
    if (spec.returns === 'value') return value;
    const thing = new RemoteThing({ supervisor, owner: target, method, params }, { engine, handle: id });
    return facadeOf(supervisor, spec.returns, thing, value as object);
  };
  const prepare = async (): Promise<unknown> => {
    const engine = await Promise.race([supervisor.engine(), stopped]);
    const handle = target === null ? 0 : await Promise.race([target.make(engine), stopped]);
    await Promise.race([makeAll(params, engine), stopped]);
    return send(engine, handle);
  };
  const engine = supervisor.usable;
  const handle = engine === undefined ? undefined : target === null ? 0 : target.handleIn(engine);
  const now =
    engine !== undefined &&
    handle !== undefined &&
    things(params).every((thing) => thing.handleIn(engine) !== undefined);
  const work = now ? send(engine, handle) : 'absent' in spec ? Promise.resolve(spec.absent) : prepare();
  // What the job works on is not collected under it.
  const promise = work.finally(() => [facade, params]);
  return {
    id,
    promise,
    cancel: () => {
      if (cancelled) return;
      cancelled = true;
      if (running !== undefined) running.cancel(id);
      else stop(cancelError());
    },
  };
}

function cancelError(): Error {
  return Object.assign(new Error('The job was cancelled.'), { code: 'ERR_ABORTED' });
}

type Operations = Readonly<Record<string, (params: unknown, onEvent?: OnEvent) => NativeJob<unknown>>>;

/** The operations of a kind of thing, on one thing; null: on the addon. */
export function operations(supervisor: Supervisor, kind: RemoteKind | 'addon', facade: object | null): Operations {
  // A conditioning has no operations of its own.
  const table: Readonly<Record<string, MethodSpec>> = kind === 'conditioning' ? {} : methods[kind];
  return Object.fromEntries(
    Object.entries(table).map(([method, spec]) => [
      method,
      (params: unknown, onEvent?: OnEvent) => startCall(supervisor, facade, method, spec, params, onEvent),
    ]),
  );
}

/** What callers hold: the plain properties of the thing, its operations, and `dispose`. */
function facadeOf(supervisor: Supervisor, kind: RemoteKind, thing: RemoteThing, facts: object): object {
  const facade: object = { ...facts };
  const dispose =
    kind === 'conditioning'
      ? () => {
          thing.drop();
        }
      : () => thing.dispose();
  Object.assign(facade, operations(supervisor, kind, facade), { dispose });
  remotes.set(facade, thing);
  collected.register(facade, thing);
  return facade;
}

function handleOf(): undefined {
  return undefined;
}

function handlesIn(engine: EngineProcess): (value: object) => number | undefined {
  return (value) => remotes.get(value)?.handleIn(engine);
}

/** The things among parameters. */
function things(params: unknown): RemoteThing[] {
  if (typeof params !== 'object' || params === null || ArrayBuffer.isView(params)) return [];
  const thing = remotes.get(params);
  if (thing !== undefined) return [thing];
  const values: unknown[] = Object.values(params);
  return values.flatMap(things);
}

async function makeAll(params: unknown, engine: EngineProcess): Promise<void> {
  for (const thing of things(params)) await thing.make(engine);
}

/** Size and time of every file that parameters name: weights that changed must not be taken for the old ones. */
function filesOf(params: unknown): string {
  if (typeof params !== 'object' || params === null) return '';
  const { file, files } = params as { file?: unknown; files?: unknown };
  const paths = [file, ...(typeof files === 'object' && files !== null ? (Object.values(files) as unknown[]) : [])];
  return paths.map((path) => (typeof path === 'string' ? stampOf(path) : '')).join('\n');
}

function stampOf(path: string): string {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat === undefined ? path : `${path} ${String(stat.size)} ${String(stat.mtimeMs)} ${String(stat.ino)}`;
}
