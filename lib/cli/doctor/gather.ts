import { statfs } from 'node:fs/promises';
import { availableParallelism, cpus, freemem, release, totalmem } from 'node:os';
import { dirname } from 'node:path';
import { cacheDir } from '../../model/cacheDir.js';
import { type EmbeddedModelInfo, embeddedModelInfo } from '../../model/embedded/index.js';
import { diagnose, type Diagnosis } from '../../sdk/diagnose.js';
import type { OpenvinoLibrary } from '../../sdk/openvinoLibrary.js';
import { probeBackends } from '../../sdk/probes.js';
import { type BackendFinding, findBackends } from './backends.js';
import { libcOf } from './system.js';

/** What `doctor --json` prints. */
export interface DoctorReport extends Omit<Diagnosis, 'backends'> {
  /** The addon could be loaded and there is a device to compute on. */
  readonly ok: boolean;
  readonly system: {
    readonly kernel: string;
    /** `glibc 2.36`, `musl`; null elsewhere. */
    readonly libc: string | null;
    readonly cpu: string;
    readonly cores: number;
    /** Bytes. */
    readonly memoryFree: number;
    readonly memoryTotal: number;
  };
  /** Highest Node-API version of this Node. */
  readonly napi: number;
  readonly backends: readonly BackendFinding[];
  readonly cache: { readonly path: string; readonly freeBytes: number | null };
  readonly embedded: EmbeddedModelInfo | null;
  /** Version and devices of OpenVINO; null without its module, and where its drivers end processes. */
  readonly openvino: OpenvinoLibrary | null;
  /** What is wrong beside the addon: the embedded model, the picture library. */
  readonly problems: readonly string[];
}

export interface DoctorSources {
  readonly binary?: string;
  readonly diagnose?: typeof diagnose;
  /** Tries the backend modules before this process loads them. */
  readonly probe?: typeof probeBackends;
  readonly embedded?: () => Promise<EmbeddedModelInfo>;
  readonly pictures?: () => Promise<unknown>;
}

/** Finds everything out. Nothing that is missing makes it throw. */
export async function gatherReport(sources: DoctorSources = {}): Promise<DoctorReport> {
  const { binary, embedded = embeddedModelInfo, pictures = () => import('sharp') } = sources;
  const named = binary === undefined ? {} : { binary };
  const probed = await (sources.probe ?? probeBackends)(named);
  const found = (sources.diagnose ?? diagnose)(named);
  const problems = [...probed.problems];
  const tried = async <T>(what: string, work: () => Promise<T>): Promise<T | null> => {
    try {
      return await work();
    } catch (error) {
      problems.push(`${what}: ${error instanceof Error ? error.message : String(error)}`);
      return null;
    }
  };
  const model = await tried('embedded model', embedded);
  await tried('sharp, which reads and writes pictures', pictures);
  if (found.binary !== null && found.devices.length === 0)
    problems.push('No backend has a device: nothing can be computed.');
  return {
    ok: found.binary !== null && found.devices.length > 0,
    ...found,
    napi: Number(process.versions.napi ?? 0),
    system: {
      kernel: release(),
      libc: libcOf(found.platform),
      cpu: cpus()[0]?.model.trim() ?? 'unknown',
      cores: availableParallelism(),
      memoryFree: freemem(),
      memoryTotal: totalmem(),
    },
    backends: found.binary === null ? [] : findBackends(found),
    cache: { path: cacheDir(), freeBytes: await freeBytes(cacheDir()) },
    embedded: model,
    openvino: probed.openvino,
    problems,
  };
}

/** Free bytes where a folder is or would be made. */
async function freeBytes(path: string): Promise<number | null> {
  try {
    const { bavail, bsize } = await statfs(path);
    return bavail * bsize;
  } catch {
    return dirname(path) === path ? null : freeBytes(dirname(path));
  }
}
