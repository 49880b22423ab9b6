import { type ChildProcess, fork } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { DiffusionError } from '../errors/index.js';
import { packageRoot } from '../here.js';
import type { NativeAddon, NativeSharedMemory } from '../native/index.js';

export interface StartOptions {
  /** The addon as this process has it: it makes the memory that both share. */
  readonly addon: Pick<NativeAddon, 'createSharedMemory'>;
  /** Absolute path of the addon, for the engine's process. */
  readonly binary: string;
  /** Program of the engine's process. Default: {@link engineEntry}. */
  readonly entry?: string | undefined;
}

/** Room for all that is on its way at a time, bytes: half for each direction. Pages that nobody writes take no memory. */
const sharedBytes = 2 * 2 ** 30;

/** The compiled program of the engine's process; also for the sources and the CommonJS door. */
export const engineEntry: string = join(packageRoot, 'dist', 'isolation', 'child.js');

/** Variables that would make another program of the engine's process. */
const notInherited = new Set([
  'NODE_OPTIONS',
  'NODE_V8_COVERAGE',
  'NODE_UNIQUE_ID',
  'NODE_CHANNEL_FD',
  'NODE_INSPECT_RESUME_ON_START',
]);

const running = new Set<ChildProcess>();
let watching = false;

/** Starts a process of the engine. It does not keep this one alive, and cannot outlive it. */
export function startProcess(options: StartOptions): { child: ChildProcess; memory: NativeSharedMemory | null } {
  const { addon, binary, entry = engineEntry } = options;
  if (!existsSync(entry)) {
    const hint = 'Install node-diffusion again; in a checkout run "npm run build:ts".';
    throw new DiffusionError(
      'ERR_BACKEND_UNAVAILABLE',
      `The program of the engine's process is missing: ${entry}. ${hint}`,
      { hint },
    );
  }
  const memory = addon.createSharedMemory(sharedBytes);
  try {
    const child = fork(entry, [], {
      // A debugger, a loader or a test runner of ours has no business there.
      execArgv: [],
      env: engineEnvironment(),
      // The working directory may be gone; this one is there.
      cwd: dirname(binary),
      serialization: 'advanced',
      // What it prints is taken into its log, never passed on.
      stdio: ['ignore', 'pipe', 'pipe', 'ipc', ...(memory === null ? [] : [memory.fd])],
    });
    for (const handle of [child, child.channel, child.stdout, child.stderr])
      (handle as { unref?: () => void } | null)?.unref?.();
    endWithUs(child);
    return { child, memory };
  } catch (error) {
    memory?.close();
    throw error;
  }
}

/** Variables of this process for a Node of ours, also where this one is Electron's. */
export function engineEnvironment(): NodeJS.ProcessEnv {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !notInherited.has(name)));
  return 'electron' in process.versions ? { ...env, ELECTRON_RUN_AS_NODE: '1' } : env;
}

/** The channel closes with this process, which ends the other; this is for one that cannot notice because it hangs. */
function endWithUs(child: ChildProcess): void {
  running.add(child);
  child.once('exit', () => running.delete(child));
  child.once('error', () => running.delete(child));
  if (watching) return;
  watching = true;
  process.on('exit', () => {
    for (const left of running) left.kill('SIGKILL');
  });
}
