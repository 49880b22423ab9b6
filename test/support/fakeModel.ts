import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ModelFacts } from '../../lib/pipeline/facts.js';
import { modelDefaults } from '../../lib/pipeline/defaults.js';
import { MemoryLedger } from '../../lib/memory/index.js';
import type { ModelMemory } from '../../lib/pipeline/admission.js';
import { MeasureCache } from '../../lib/pipeline/measure.js';
import { ConditioningCache } from '../../lib/pipeline/conditioningCache.js';
import type { PipelineModel } from '../../lib/pipeline/modes.js';
import { LoraDirectories, WeightsState } from '../../lib/weights/index.js';
import { JobQueue } from '../../lib/pipeline/queue.js';
import type { LatentSpace } from '../../lib/pipeline/space.js';
import type { LoadModelOptions, RuntimeOptions } from '../../lib/sdk/types.js';
import { openRuntime, type Runtime } from '../../lib/sdk/runtime.js';
import type { Model } from '../../lib/sdk/model.js';
import { FakeAddon, fakeInfo, type FakeOptions } from './fakeAddon.js';

export const space: LatentSpace = {
  family: 'sd',
  channels: 4,
  scaleFactor: 8,
  source: { path: '/vae', bytes: 1, mtimeMs: 1 },
};

export function fakeFacts(change: Partial<ModelFacts> = {}): ModelFacts {
  const facts = { ...fakeInfo, name: 'fake', embedded: false, space, ...change };
  return { defaults: modelDefaults(facts.architecture, facts.prediction, facts.embedded), ...facts };
}

/** The pipeline over a fake addon, without files and runtime. */
export function fakePipeline(
  options: FakeOptions & { facts?: Partial<ModelFacts>; cacheBytes?: number; loraDirectories?: string[] } = {},
): {
  fake: FakeAddon;
  model: PipelineModel;
} {
  const fake = new FakeAddon(options);
  const facts = fakeFacts({ ...options.info, ...options.facts });
  const cache = new ConditioningCache(options.cacheBytes ?? 1e6);
  const native = fake.model();
  const weights = new WeightsState({
    native,
    architecture: facts.architecture,
    checkpoint: new Map(),
    mode: 'auto',
    backup: 'file',
    cacheBytes: 0,
    threads: 1,
    directories: new LoraDirectories(options.loraDirectories ?? []),
  });
  return {
    fake,
    model: {
      native,
      facts,
      cache,
      memory: fakeMemory(),
      weights,
      queue: new JobQueue(),
      describe: () => ({ model: 'fake' }),
      openUpscaler: () => Promise.reject(new Error('no upscaler')),
      identity: { weights: 'fake', device: 'CPU', precision: '' },
    },
  };
}

/** A ledger without a limit on a machine that always has memory. */
export function fakeMemory(): ModelMemory {
  return {
    ledger: new MemoryLedger({ limit: undefined, available: () => 2 ** 40, rss: () => 0 }),
    cache: new MeasureCache(),
  };
}

/** A safetensors file whose header is whole; the fake addon does not look at its weights. */
export function tinyCheckpoint(seed = 0): string {
  return tinyFile('model.diffusion_model.input_blocks.0.0.weight', seed);
}

/** As {@link tinyCheckpoint}, an upscaler by the name of its tensor. */
export function tinyUpscaler(): string {
  return tinyFile('body.0.rdb1.conv1.weight', 0);
}

function tinyFile(tensor: string, seed: number): string {
  const header = JSON.stringify({ [tensor]: { dtype: 'F32', shape: [1], data_offsets: [0, 4] } });
  const padded = header.padEnd(Math.ceil(header.length / 8) * 8);
  const bytes = Buffer.alloc(8 + padded.length + 4);
  bytes.writeBigUInt64LE(BigInt(padded.length), 0);
  bytes.write(padded, 8, 'latin1');
  bytes.writeFloatLE(seed, 8 + padded.length);
  const path = join(mkdtempSync(join(tmpdir(), 'node-diffusion-test-')), 'tiny.safetensors');
  writeFileSync(path, bytes);
  return path;
}

export async function fakeRuntime(
  options: FakeOptions & { runtime?: RuntimeOptions } = {},
): Promise<{ fake: FakeAddon; runtime: Runtime }> {
  const fake = new FakeAddon(options);
  const loaded = {
    addon: fake.addon,
    path: '/fake/node-diffusion.node',
    folders: [],
    backends: fake.addon.loadBackends('/fake'),
    attempts: [],
  };
  return { fake, runtime: await openRuntime(options.runtime ?? {}, () => loaded) };
}

export async function fakeModel(
  options: FakeOptions & { load?: LoadModelOptions } = {},
): Promise<{ fake: FakeAddon; runtime: Runtime; model: Model }> {
  const { fake, runtime } = await fakeRuntime(options);
  const model = await runtime.loadModel({ checkpoint: tinyCheckpoint(), ...options.load });
  return { fake, runtime, model };
}
