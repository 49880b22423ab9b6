import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { corrupt, unsupported, type FileContext } from './errors.js';

/** A file of a diffusers directory that the engine reads. */
export interface DiffusersPart {
  readonly component: 'diffusionModel' | 'vae' | 'clipL' | 'clipG';
  /** Absolute path. */
  readonly path: string;
  /** What the engine puts before the tensor names. */
  readonly prefix: string;
}

/** The names the engine looks for (`init_from_diffusers_file` in its model.cpp); others are not looked at. */
const layout = [
  { component: 'diffusionModel', file: 'unet/diffusion_pytorch_model.safetensors', prefix: 'unet.' },
  { component: 'vae', file: 'vae/diffusion_pytorch_model.safetensors', prefix: 'vae.' },
  { component: 'clipL', file: 'text_encoder/model.safetensors', prefix: 'te.' },
  { component: 'clipG', file: 'text_encoder_2/model.safetensors', prefix: 'te.1.' },
] as const;

function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (info) => info.isFile(),
    () => false,
  );
}

/**
 * Files of a diffusers directory in the engine's order.
 *
 * @throws DiffusionError `ERR_MODEL_CORRUPT`: a directory that is no model. `ERR_MODEL_UNSUPPORTED`: a diffusers model
 * without the UNet file that the engine reads.
 */
export async function listDiffusers(directory: FileContext): Promise<DiffusersPart[]> {
  const parts: DiffusersPart[] = [];
  for (const { component, file, prefix } of layout) {
    const path = join(directory.path, file);
    if (await isFile(path)) parts.push({ component, path, prefix });
  }
  if (parts[0]?.component === 'diffusionModel') return parts;
  if (await isFile(join(directory.path, 'model_index.json'))) {
    const what = `it is a diffusers directory without ${layout[0].file}`;
    throw unsupported(
      directory,
      what,
      'Models with a transformer, sharded files and variants such as .fp16.safetensors are not read from a directory; give their files one by one, or a single-file checkpoint.',
    );
  }
  throw corrupt(
    directory,
    'it is a directory, not a model file',
    undefined,
    `Give the path of a file, or of a diffusers directory with ${layout[0].file}.`,
  );
}
