import { createHash } from 'node:crypto';
import { boolean, checkOptions } from '../options/index.js';
import { jobSpec, type PipelineModel } from '../pipeline/index.js';
import type { WeightsDigest, WeightsMemory } from '../weights/index.js';

export interface DigestOptions {
  /** Hashes of every tensor as well. Default: false. */
  readonly perTensor?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

export async function weightsDigest(model: PipelineModel, given: unknown): Promise<WeightsDigest> {
  const { perTensor, signal } = checkOptions('weightsDigest', given, {
    perTensor: boolean({ default: false }),
    signal: jobSpec.signal,
  });
  const { queue, native, weights } = model;
  return queue.enqueue('weightsDigest', { signal }, async (scope) => {
    await weights.apply(undefined, scope, null);
    const tensors = await scope.run(() => native.weightsDigest());
    const hash = createHash('sha256');
    for (const { name, type, shape, sha256 } of tensors)
      hash.update(`${name}\n${type}\n${shape.join('x')}\n${sha256}\n`);
    const digest = { sha256: hash.digest('hex'), tensors: tensors.length };
    if (!perTensor) return digest;
    return { ...digest, perTensor: Object.fromEntries(tensors.map(({ name, sha256 }) => [name, sha256])) };
  });
}

export async function weightsMemory(model: PipelineModel): Promise<WeightsMemory> {
  return model.queue.enqueue('memory', {}, async (scope) => {
    const memory = await scope.run(() => model.native.weightsMemory());
    return {
      compiled: { textEncoder: 0, diffusionModel: 0, vae: 0, controlNet: 0, ...memory.compiled },
      byDevice: byDevice(model.facts.components, memory.deviceBackup),
      backups: { file: 0, ram: memory.ramBackup, device: memory.deviceBackup },
      mergedCache: memory.cache,
      loraFiles: memory.loraFiles,
      changedTensors: memory.changedTensors,
    };
  });
}

/** Copies that lie beside their tensors are on the one device of the model that has memory of its own. */
function byDevice(components: PipelineModel['facts']['components'], backups: number): WeightsMemory['byDevice'] {
  const devices: Record<string, { weights: number; backups: number }> = {};
  for (const { device, bytes } of components) (devices[device] ??= { weights: 0, backups: 0 }).weights += bytes;
  const own = Object.keys(devices).find((device) => device !== 'CPU');
  const holder = own === undefined ? undefined : devices[own];
  if (holder !== undefined) holder.backups = backups;
  return devices;
}

export async function releaseBackups(model: PipelineModel): Promise<number> {
  return model.queue.enqueue('memory', {}, (scope) => model.weights.release(scope));
}
