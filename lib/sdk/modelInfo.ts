import { basename, extname } from 'node:path';
import { sumBytes } from '../memory/index.js';
import type { NativeModelFiles, NativeModelInfo } from '../native/index.js';
import type { Sampler, Schedule } from '../options/index.js';
import { type LatentSpace, modelDefaults, type ModelFacts, spaceFamily, spaceSource } from '../pipeline/index.js';
import type { ModelInfo } from './types.js';

/** Name of a model for people: its main file without extension. */
export function modelName(files: NativeModelFiles, embedded: boolean): string {
  if (embedded) return 'nano';
  const path = files.diffusionModel ?? files.checkpoint ?? '';
  return basename(path, extname(path));
}

/** Adds to the addon's facts what TypeScript knows. */
export async function modelFacts(
  info: NativeModelInfo,
  files: NativeModelFiles,
  embedded: boolean,
): Promise<ModelFacts> {
  const { architecture, latentChannels, scaleFactor, prediction } = info;
  const coder = (info.usesTaesd ? files.taesd : files.vae) ?? files.checkpoint ?? files.diffusionModel ?? '';
  const space: LatentSpace = Object.freeze({
    family: info.usesTaesd ? `${spaceFamily(architecture)}-taesd` : spaceFamily(architecture),
    channels: latentChannels,
    scaleFactor,
    source: await spaceSource(coder),
  });
  return Object.freeze({
    ...info,
    name: modelName(files, embedded),
    embedded,
    defaults: modelDefaults(architecture, prediction, embedded),
    space,
  });
}

export function publicInfo(facts: ModelFacts, files: NativeModelFiles): ModelInfo {
  const bytesByDevice: Record<string, number> = {};
  for (const { device, bytes } of facts.components) bytesByDevice[device] = (bytesByDevice[device] ?? 0) + bytes;
  const { architecture, name, embedded, latentChannels, scaleFactor, sizeMultiple, defaults, prediction } = facts;
  const { isInpaint, isEdit, isControl, isVideo, hasControlNet, usesTaesd, canEncodeImages, tensors, components } =
    facts;
  return Object.freeze({
    architecture,
    name,
    embedded,
    files: Object.freeze({ ...files }),
    latentChannels,
    concatChannels: facts.concatChannels,
    scaleFactor,
    sizeMultiple,
    defaultSampler: facts.defaultSampler as Sampler,
    defaultSchedule: facts.defaultSchedule as Schedule,
    defaults,
    prediction,
    isInpaint,
    isEdit,
    isControl,
    isVideo,
    hasControlNet,
    usesTaesd,
    canEncodeImages,
    tensors,
    bytes: sumBytes(components),
    bytesByDevice: Object.freeze(bytesByDevice),
    components: Object.freeze([...components]),
  });
}
