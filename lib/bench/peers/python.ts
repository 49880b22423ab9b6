import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { DiffusionError } from '../../errors/index.js';
import { packageRoot } from '../../here.js';
import { peakRss } from '../../memory/index.js';
import { endProgram, programError } from '../program.js';
import type { PeerName, PictureTimes, Side, SideRun } from '../types.js';

/** Paths of what the Python peers read. They know SD 1.x checkpoints and TAESD. */
export interface PythonModel {
  readonly checkpoint: string;
  readonly taesd?: string;
  /** 0: one per physical core. */
  readonly threads: number;
}

type Message = Readonly<Record<string, unknown>>;

/**
 * A Python program that keeps a model. It is asked in lines of JSON on standard input and answers each with one line on
 * standard output; what it prints besides goes to standard error. `bench/peers/README.md` has the messages.
 */
export class PythonPeer {
  readonly #child: ChildProcess;
  readonly #program: string;
  readonly #waiting: { resolve: (message: Message) => void; reject: (error: unknown) => void }[] = [];
  readonly #signal: AbortSignal;
  readonly #onAbort: () => void;
  #log = '';
  #failure: Error | undefined;

  private constructor(program: string, script: string, signal: AbortSignal) {
    this.#program = program;
    this.#signal = signal;
    // -B: it writes nothing beside our files.
    const child = spawn(program, ['-B', '-u', script], { stdio: ['pipe', 'pipe', 'pipe'] });
    this.#child = child;
    this.#onAbort = () => {
      this.#fail(signal.reason instanceof Error ? signal.reason : new DiffusionError('ERR_ABORTED', 'Aborted.'));
      void endProgram(child);
    };
    signal.addEventListener('abort', this.#onAbort, { once: true });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#log = (this.#log + text).slice(-20_000);
    });
    // A peer that has ended reads no more; that is told by its end.
    child.stdin.on('error', () => undefined);
    createInterface({ input: child.stdout }).on('line', (line) => {
      this.#take(line);
    });
    child.once('error', (cause) => {
      this.#fail(programError(program, 'could not be started', '', cause));
    });
    child.once('close', (code, killed) => {
      this.#fail(programError(program, `ended with ${String(killed ?? code)}`, this.#log));
    });
  }

  /** Starts a peer and has it load. Resolves with its versions and the milliseconds of loading. */
  static async start(
    peer: Exclude<PeerName, 'sd-cli'>,
    program: string,
    model: PythonModel,
    signal: AbortSignal,
  ): Promise<{ readonly python: PythonPeer; readonly versions: Message; readonly load: number }> {
    signal.throwIfAborted();
    const script = join(packageRoot, 'bench', 'peers', `${peer.replace('-', '_')}_peer.py`);
    const python = new PythonPeer(program, script, signal);
    try {
      const { versions, load } = await python.ask({ load: model });
      return { python, versions: versions as Message, load: load as number };
    } catch (error) {
      await python.close();
      throw error;
    }
  }

  /** Sends a message and resolves with the answer. */
  async ask(message: Message): Promise<Message> {
    this.#signal.throwIfAborted();
    if (this.#failure !== undefined) throw this.#failure;
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#child.stdin?.write(`${JSON.stringify(message)}\n`);
    });
  }

  /** Most resident bytes so far; 0 where the system does not tell. */
  get peak(): number {
    return peakRss(this.#child.pid);
  }

  async close(): Promise<void> {
    this.#signal.removeEventListener('abort', this.#onAbort);
    this.#child.stdin?.end();
    await endProgram(this.#child);
  }

  #take(line: string): void {
    const next = this.#waiting.shift();
    let answer: Message;
    try {
      answer = JSON.parse(line) as Message;
    } catch {
      next?.reject(programError(this.#program, `answered no JSON: ${line.slice(0, 200)}`, this.#log));
      return;
    }
    const { error } = answer;
    if (typeof error !== 'string') next?.resolve(answer);
    else if (answer.kind === 'unsupported') next?.reject(new DiffusionError('ERR_MODEL_UNSUPPORTED', error));
    else next?.reject(programError(this.#program, `failed: ${error}`, this.#log));
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    for (const { reject } of this.#waiting.splice(0)) reject(this.#failure);
  }
}

/** A Python peer with its model in memory, or with `fresh` a process for every picture. */
export async function pythonSide(
  peer: Exclude<PeerName, 'sd-cli'>,
  program: string,
  model: PythonModel,
  signal: AbortSignal,
  fresh: boolean,
): Promise<Side> {
  const folder = await mkdtemp(join(tmpdir(), 'node-diffusion-bench-'));
  const output = join(folder, 'picture.rgb');
  const draw = async (python: PythonPeer, request: SideRunRequest): Promise<SideRun> => {
    const { times } = await python.ask({ picture: request, output });
    const pixels = { width: request.width, height: request.height, data: await readFile(output) };
    return { ...(times as PictureTimes), pixels };
  };
  let kept: PythonPeer | undefined;
  try {
    // Also of a side that starts anew each time: its versions, and whether it works at all.
    const { python, versions } = await PythonPeer.start(peer, program, model, signal);
    kept = python;
    if (fresh) await python.close();
    return {
      name: peer,
      about: { name: peer, ...versions },
      async picture(request) {
        if (!fresh) return draw(python, request);
        const start = performance.now();
        const { python: own, load } = await PythonPeer.start(peer, program, model, signal);
        try {
          const run = await draw(own, request);
          return { ...run, load, process: performance.now() - start, peak: own.peak };
        } finally {
          await own.close();
        }
      },
      async close() {
        await python.close();
        await rm(folder, { recursive: true, force: true });
      },
    };
  } catch (error) {
    await kept?.close();
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

type SideRunRequest = Parameters<Side['picture']>[0];
