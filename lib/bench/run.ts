import { access, constants, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { DiffusionError, invalidOption } from '../errors/index.js';
import { fileSha256, modelFileFields } from '../model/index.js';
import type { LoadModelOptions, RuntimeOptions } from '../sdk/types.js';
import { type Bench, pythonModel, threadsOf } from './bench.js';
import { assertOnCpu } from './peers/device.js';
import { sdCliLoad } from './peers/sdCliFlags.js';
import { type BenchRecord, makeRecord, type SuiteResult } from './record.js';
import { type Machine } from './machine.js';
import { suites } from './suites.js';
import type { BenchHost, BenchRequest, BenchRuntime, BenchSettings } from './types.js';

export interface RunOptions {
  readonly host: BenchHost;
  readonly machine: Machine;
  readonly signal: AbortSignal;
  /** Says how far it is. */
  readonly say?: (text: string) => void;
}

/**
 * Runs one benchmark.
 * @throws DiffusionError `ERR_INVALID_OPTION` for a peer that the benchmark does not know or that is not there, for what
 *   it cannot do, and for a device other than its own, before anything is loaded; what `createRuntime`, `loadModel` and `txt2img` throw; or the signal's reason.
 */
export async function runBench(given: BenchSettings, options: RunOptions): Promise<BenchRecord> {
  const { host, machine, signal, say = () => undefined } = options;
  const settings = await checkSettings(given);
  const files = await filesOf(settings.load, host, signal);
  if (settings.compare?.peer === 'sd-cli') sdCliLoad(files);
  else if (settings.compare !== undefined) pythonModel(files, 0);
  const runtime = await host.createRuntime(settings.runtime);
  try {
    assertOnCpu(settings, runtime);
    const bench = await openBench(settings, files, runtime, { host, signal, say });
    const result = await measure(bench);
    const threads = threadsOf(settings.runtime);
    const { versions } = runtime;
    return makeRecord({ machine, versions, cpuFeatures: host.cpuFeatures(), threads, suites: [result] });
  } finally {
    await runtime.dispose({ abort: true });
  }
}

async function measure(bench: Bench): Promise<SuiteResult> {
  const { settings, request, sizes, repeat, warmup, runtime, model, signal } = bench;
  const { title, run } = suites[settings.command];
  const identity = await model.identity({ signal });
  const loras = await Promise.all((settings.loras ?? []).map((path) => fileSha256(path, { signal })));
  const { compared, rows, notes, peer } = await run(bench);
  return {
    ...{ name: settings.command, title, compared, repeat },
    settings: {
      model: model.info.architecture,
      // By content: paths are those of one machine.
      files: identity.map(({ role, bytes, sha256 }) => ({ role, bytes, sha256 })),
      load: loadSettings(settings.load),
      backend: runtime.backend,
      device: runtime.device.description,
      ...runtimeSettings(settings.runtime),
      request,
      hires: settings.request.hires ?? null,
      sizes,
      loras,
      backends: settings.backends ?? null,
      peer: settings.compare?.peer ?? null,
    },
    warmup,
    ...{ rows, notes, goals: [] },
    ...(peer === undefined ? {} : { peer }),
  };
}

/** Options of a runtime that figures depend on; backend and device are told as they were found. */
function runtimeSettings({ isolation = 'none', threads = 0, memoryLimit, openvino }: RuntimeOptions) {
  return { isolation, threads, memoryLimit: memoryLimit ?? null, openvino: openvino ?? null };
}

const notSettings: ReadonlySet<string> = new Set([...modelFileFields, 'signal', 'onProgress']);

function loadSettings(load: LoadModelOptions): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(load).filter(([name]) => !notSettings.has(name)));
}

async function checkSettings(settings: BenchSettings): Promise<BenchSettings> {
  const { command, compare, request } = settings;
  if (compare === undefined) return settings;
  const { peers } = suites[command];
  if (!peers.includes(compare.peer)) {
    const allowed = peers.length === 0 ? `no peer with ${command}` : `one of ${peers.join(', ')} with ${command}`;
    throw invalidOption('--compare', compare.peer, allowed);
  }
  if (command === 'memory' && process.platform !== 'linux') {
    throw invalidOption('--compare', compare.peer, 'no peer: the memory of other programs is known on Linux only');
  }
  const path = resolve(compare.path);
  const isFile = await stat(path).then(
    (info) => info.isFile(),
    () => false,
  );
  const runs = await access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
  if (!isFile || !runs) {
    const what = compare.peer === 'sd-cli' ? 'sd-cli' : 'the Python that has the peer';
    const hint = `bench/peers/README.md tells how to bring it.`;
    throw invalidOption('--compare', compare.path, `the path of ${what}, a program that can be run`, hint);
  }
  if (compare.peer === 'sd-cli') return { ...settings, compare: { ...compare, path } };
  // The Python peers have one sampler and draw their noise with torch's CPU generator.
  for (const [name, only] of [['sampler', 'euler'] as const, ['schedule', 'discrete'] as const]) {
    const value = request[name];
    if (value !== undefined && value !== only) throw invalidOption(name, value, `${only} with ${compare.peer}`);
  }
  return {
    ...settings,
    compare: { ...compare, path },
    load: { ...settings.load, rng: 'cpu' },
    request: { ...request, sampler: 'euler', schedule: 'discrete' },
  };
}

/** The load with all its files named: the embedded model is a default that other programs do not have. */
async function filesOf(load: LoadModelOptions, host: BenchHost, signal: AbortSignal): Promise<LoadModelOptions> {
  if (load.checkpoint !== undefined || load.diffusionModel !== undefined) return load;
  const { checkpoint, taesd } = await host.embedded(signal);
  return { taesd, ...load, checkpoint };
}

async function openBench(
  settings: BenchSettings,
  files: LoadModelOptions,
  runtime: BenchRuntime,
  { host, signal, say }: Pick<Bench, 'host' | 'signal' | 'say'>,
): Promise<Bench> {
  // A prompt is encoded every time: the peers have no cache of it.
  const load = { ...settings.load, conditioningCacheBytes: 0, signal };
  const model = await runtime.loadModel(load);
  const { defaults, sizeMultiple, architecture } = model.info;
  const { compare, sizes = [{ width: defaults.width, height: defaults.height }] } = settings;
  for (const { width, height } of sizes) {
    const wrong = [width, height].find((edge) => edge === 0 || edge % sizeMultiple !== 0);
    if (wrong !== undefined) {
      throw invalidOption('--sizes', wrong, `multiples of ${String(sizeMultiple)} pixels for this model`);
    }
  }
  if (compare !== undefined && compare.peer !== 'sd-cli' && !architecture.startsWith('SD 1.x')) {
    const hint = 'Compare with sd-cli.';
    const message = `The Python peers know SD 1.x only, this model is ${architecture}. ${hint}`;
    throw new DiffusionError('ERR_MODEL_UNSUPPORTED', message, { field: '--compare', hint });
  }
  return {
    ...{ settings, host, signal, files, runtime, model, sizes, say },
    request: requestOf(settings, model.info),
    repeat: settings.repeat ?? suites[settings.command].repeat,
    warmup: settings.warmup ?? 1,
  };
}

type Requested = Omit<BenchRequest, 'width' | 'height'>;

function requestOf({ request }: BenchSettings, info: Bench['model']['info']): Requested {
  const { hires: _, ...chosen } = request;
  return {
    prompt: 'a red apple',
    negativePrompt: '',
    steps: 10,
    cfgScale: info.defaults.cfgScale,
    sampler: info.defaultSampler,
    schedule: info.defaultSchedule,
    seed: 1,
    ...chosen,
  };
}
