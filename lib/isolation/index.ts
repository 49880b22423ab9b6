import {
  type JobMethods,
  loadAddon,
  type LoadedAddon,
  type NativeAddon,
  type SkippedModules,
} from '../native/index.js';
import { operations } from './remote.js';
import { Supervisor } from './supervisor.js';

export interface IsolationOptions {
  /** Milliseconds without any progress of a job after which its process is ended; 0: never. */
  readonly hangTimeout: number;
}

/**
 * The addon with its engine in a process of its own. This process loads the binary as well, for the memory that both
 * share, but no backend module and no model.
 * @throws DiffusionError `ERR_BACKEND_UNAVAILABLE` as {@link loadAddon}, `ERR_ENGINE_CRASHED` when the process dies at once.
 */
export async function openIsolated(
  binary: string | undefined,
  { hangTimeout }: IsolationOptions,
  skip: SkippedModules = new Map(),
): Promise<LoadedAddon> {
  const local = loadAddon({ binary, backends: false });
  const { addon, path, folders } = local;
  const supervisor = new Supervisor({ addon, binary: path, folders, skip, hangTimeout });
  const { facts } = await supervisor.engine();
  // The table of methods is checked against the contract in methods.ts.
  const jobs = operations(supervisor, 'addon', null) as unknown as Pick<NativeAddon, JobMethods<NativeAddon>>;
  const remote: NativeAddon = {
    ...jobs,
    versions: addon.versions,
    tables: addon.tables,
    loadBackends: () => [...(facts?.backends ?? [])],
    devices: () => [...supervisor.devices],
    describeBackend: () => '',
    cpuFeatures: () => ({ ...facts?.cpuFeatures }),
    setLogger: (level, logger) => {
      supervisor.setLogger(level, logger);
    },
    createSharedMemory: (bytes) => addon.createSharedMemory(bytes),
    openSharedMemory: (fd, bytes) => addon.openSharedMemory(fd, bytes),
    guardEngineProcess: () => undefined,
  };
  return {
    addon: remote,
    path,
    folders,
    backends: facts?.backends ?? [],
    attempts: local.attempts,
    engine: {
      get pid() {
        return supervisor.pid;
      },
      close: () => supervisor.close(),
    },
  };
}
