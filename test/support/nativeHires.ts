import { MemoryLedger } from '../../lib/memory/index.js';
import { Residency, type ResidentModel } from '../../lib/model/index.js';
import { type NativeModelFiles, runJob } from '../../lib/native/index.js';
import { Compiler } from '../../lib/pipeline/compile.js';
import type { ModelEvent, PipelineModel } from '../../lib/pipeline/index.js';
import { LoraDirectories } from '../../lib/weights/index.js';
import { assemble } from '../../lib/sdk/assemble.js';
import { modelFacts } from '../../lib/sdk/modelInfo.js';
import { rawAddon } from './native.js';
import { loadOptions } from './nativeParams.js';

export interface Recompiled {
  readonly model: PipelineModel;
  readonly resident: ResidentModel;
  /** Times that the weights were read. */
  readonly loads: () => number;
  readonly events: ModelEvent[];
}

/** The embedded model with a backend that recompiles before every image: it drops all weights and reads them anew. */
export async function recompilingModel(files: NativeModelFiles): Promise<Recompiled> {
  const addon = rawAddon();
  let loads = 0;
  const open = async (_onEvent: unknown, signal: AbortSignal) => {
    loads++;
    const native = await runJob(() => addon.loadModel(loadOptions(files, { mmap: true }), () => undefined), signal)
      .promise;
    return { native, forget: () => undefined };
  };
  const loaded = await open(undefined, new AbortController().signal);
  const facts = await modelFacts(loaded.native.info, files, true);
  const { pipeline, resident } = assemble({
    ...{ info: loaded.native.info, open, loaded, log: undefined, cacheBytes: 1e6, holders: 1, stamps: new Map() },
    measure: (job) => addon.measureJob({ load: loadOptions(files, { mmap: true }), job }),
    facts: () => facts,
    describe: () => ({ model: 'nano' }),
    identity: { weights: 'nano', device: 'CPU', precision: '' },
    loras: { mode: 'merge', backup: 'file', cacheBytes: 0, threads: 1, directories: new LoraDirectories([]) },
    ledger: new MemoryLedger({ limit: undefined, available: () => 2 ** 40, rss: () => 0 }),
    residency: new Residency(),
    openUpscaler: () => Promise.reject(new Error('no upscaler')),
  });
  const compile = async (_key: unknown, native: typeof resident.native) => {
    await resident.drop();
    return { ...native };
  };
  Object.assign(pipeline, { compiler: new Compiler(compile, false) });
  return { model: pipeline, resident, loads: () => loads, events: [] };
}
