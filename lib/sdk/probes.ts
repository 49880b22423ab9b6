import { mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { cacheDir } from '../model/index.js';
import { DiffusionError } from '../errors/index.js';
import { openvinoLibrary, type OpenvinoLibrary } from './openvinoLibrary.js';
import { loadAddon, modulesOf, type SkippedModules } from '../native/index.js';

/** A backend module that ended the process in which `doctor` tried it. */
interface Crash {
  readonly file: string;
  /** Of the file then: another file is another chance. */
  readonly bytes: number;
  readonly modified: number;
  readonly how: string;
  /** Day, `2026-11-28`. */
  readonly day: string;
}

/** What came of trying all modules. */
export interface BackendProbes {
  /** What went wrong beside the modules themselves, for people. */
  readonly problems: readonly string[];
  /** Version and devices of OpenVINO; null without its module, and where its drivers ended the process. */
  readonly openvino: OpenvinoLibrary | null;
}

const nothing: BackendProbes = { problems: [], openvino: null };

/**
 * Tries every backend module but the CPU's in a process of its own, and remembers in the cache directory which ones end
 * it: they are not loaded until a later run finds them well, or their file changes. OpenVINO is asked there as well, since
 * that starts the drivers of all its devices.
 */
export async function probeBackends(
  options: { readonly binary?: string; readonly limit?: number; readonly entry?: string } = {},
): Promise<BackendProbes> {
  const { binary, ...rest } = options;
  const found = addonOf(binary);
  if (found === undefined) return nothing;
  const modules = found.folders.filter(({ problem }) => problem === undefined).flatMap(({ path }) => modulesOf(path));
  if (modules.length === 0) return nothing;
  const { probeModules } = await import('../isolation/probe.js');
  const probes = await probeModules(found.path, modules, rest);
  const day = new Date().toISOString().slice(0, 10);
  const others = readCrashes().filter(({ file }) => !modules.includes(file));
  const crashes = probes.filter(({ crash }) => crash !== '').map(({ file, crash }) => crashOf(file, crash, day));
  const problems = probes.flatMap(({ file, libraryCrash }) =>
    libraryCrash === '' ? [] : [advice(file, libraryCrash)],
  );
  try {
    writeCrashes([...others, ...crashes]);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    if (crashes.length > 0) problems.push(`Which backends crash could not be remembered: ${why}`);
  }
  return { problems, openvino: openvinoLibrary(probes.find(({ openvino }) => openvino !== '')?.openvino ?? '') };
}

function advice(file: string, how: string): string {
  return (
    `${basename(file)} runs, but asking for the devices of its library ended the process (${how}). ` +
    'Renew the drivers of its GPU and NPU; its device CPU can be used.'
  );
}

/** The modules that are not to be loaded, with the reason. */
export function knownCrashes(): SkippedModules {
  const valid = readCrashes().filter(({ file, bytes, modified }) => {
    const now = statSync(file, { throwIfNoEntry: false });
    return now?.size === bytes && now.mtimeMs === modified;
  });
  return new Map(
    valid.map(({ file, how, day }) => [file, `it ended the process when doctor tried it on ${day} (${how})`]),
  );
}

function addonOf(binary: string | undefined): ReturnType<typeof loadAddon> | undefined {
  try {
    return loadAddon({ binary, backends: false });
  } catch (error) {
    if (error instanceof DiffusionError) return undefined;
    throw error;
  }
}

function memory(): string {
  return join(cacheDir(), 'backend-crashes.json');
}

function crashOf(file: string, how: string, day: string): Crash {
  const { size, mtimeMs } = statSync(file);
  return { file, bytes: size, modified: mtimeMs, how, day };
}

/** What was written; nothing when it cannot be read, since then nothing is known. */
function readCrashes(): Crash[] {
  try {
    const value: unknown = JSON.parse(readFileSync(memory(), 'utf8'));
    return Array.isArray(value) ? value.filter(isCrash) : [];
  } catch {
    return [];
  }
}

function isCrash(value: unknown): value is Crash {
  const entry = value as Partial<Crash> | null;
  return typeof entry === 'object' && typeof entry?.file === 'string' && typeof entry.how === 'string';
}

function writeCrashes(crashes: readonly Crash[]): void {
  if (crashes.length === 0) {
    rmSync(memory(), { force: true });
    return;
  }
  mkdirSync(cacheDir(), { recursive: true });
  const temporary = `${memory()}.${String(process.pid)}`;
  writeFileSync(temporary, JSON.stringify(crashes));
  renameSync(temporary, memory());
}
