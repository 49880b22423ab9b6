export type { Attempt } from './advice.js';
export type * from './contract.js';
export {
  type BackendFolder,
  loadBackends,
  modulesOf,
  type SkippedModules,
} from './backends.js';
export { installCommand, reinstallCommand } from './commands.js';
export { fromNative } from './errors.js';
export { type JobMethods, JobScope, type RunningJob, runJob } from './job.js';
export { loadAddon, type LoadAddonOptions, type LoadedAddon, LoadError, ownVersion } from './load.js';
export { type LogSource, sourceOf } from './log-source.js';
export { moduleAdvice } from './moduleAdvice.js';
export { backendPackageName, platformPackageName } from './packages.js';
export { platformTag } from './platform.js';
