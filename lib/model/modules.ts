import { stat } from 'node:fs/promises';
import type { ModelFileField } from './files.js';
import { readModelHeaders } from './files.js';
import { classify, type ComponentName, type TensorHeader } from './format/index.js';

const mostRemembered = 32;
const remembered = new Map<string, { readonly stamp: string; readonly tensors: TensorHeader[] }>();

/** Headers of a file are read once, while it is the same file: a job that names it reads nothing the second time. */
async function tensorsOf(path: string, field: string, signal: AbortSignal | undefined): Promise<TensorHeader[]> {
  const stamp = await stampOf(path);
  const known = remembered.get(path);
  if (known !== undefined && known.stamp === stamp) return known.tensors;
  const tensors = await readTensors(path, field, signal);
  remembered.delete(path);
  if (stamp !== undefined && stamp === (await stampOf(path))) remembered.set(path, { stamp, tensors });
  for (const oldest of remembered.keys()) {
    if (remembered.size <= mostRemembered) break;
    remembered.delete(oldest);
  }
  return tensors;
}

/** Undefined where it is no single file: a directory does not tell when its files change. */
async function stampOf(path: string): Promise<string | undefined> {
  const info = await stat(path, { bigint: true }).catch(() => undefined);
  if (info?.isFile() !== true) return undefined;
  return `${String(info.size)}:${String(info.mtimeNs)}:${String(info.ino)}`;
}

async function readTensors(path: string, field: string, signal: AbortSignal | undefined): Promise<TensorHeader[]> {
  const headers = await readModelHeaders(path, field, signal);
  return headers.flatMap(({ header, part }) =>
    part === undefined ? header.tensors : header.tensors.map((t) => ({ ...t, name: part.prefix + t.name })),
  );
}

/**
 * Parts of a model that a file has.
 * @throws DiffusionError `ERR_MODEL_NOT_FOUND`, `ERR_MODEL_CORRUPT`, `ERR_MODEL_UNSUPPORTED`, naming the field.
 */
export async function componentsOf(
  path: string,
  field: string,
  signal?: AbortSignal,
): Promise<ReadonlySet<ComponentName>> {
  return new Set(classify(await tensorsOf(path, field, signal)).components);
}

/**
 * The option that a file of a VAE or a text encoder belongs to; undefined: it is neither.
 * @throws DiffusionError as {@link componentsOf}.
 */
export async function moduleRole(
  path: string,
  field: string,
  signal?: AbortSignal,
): Promise<ModelFileField | undefined> {
  const tensors = await tensorsOf(path, field, signal);
  const { kind } = classify(tensors);
  if (kind === 'vae' || kind === 'taesd' || kind === 'clipVision') return kind;
  return kind === 'textEncoder' ? textEncoderRole(tensors) : undefined;
}

/** Told by names: T5's blocks, CLIP's layers; CLIP-L is 768 wide and bigG 1280. */
function textEncoderRole(tensors: readonly TensorHeader[]): ModelFileField {
  const has = (pattern: RegExp): boolean => tensors.some(({ name }) => pattern.test(name));
  if (has(/(?:^|\.)encoder\.block\.\d+\.layer\.|^(?:enc\.)?blk\.\d+\./)) return has(/^blk\./) ? 'llm' : 't5xxl';
  if (has(/text_model\.|transformer\.resblocks\./)) {
    const wide = tensors.some(
      ({ name, shape }) =>
        /final_layer_norm\.weight$|ln_final\.weight$/.test(name) && shape[0] !== undefined && shape[0] > 768,
    );
    return wide ? 'clipG' : 'clipL';
  }
  return 'llm';
}
