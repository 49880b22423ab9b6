import { DiffusionError } from '../errors/index.js';
import { checkEngineReads, readHeader } from './format/index.js';

/** RRDBNet by the names of BasicSR and of the models before it, the two that the engine reads (`src/esrgan.hpp`). */
const rrdbNet = /^(?:model\.1\.sub\.\d+\.RDB\d|body\.\d+\.rdb\d)\.conv\d\./;

/**
 * Checks the header of an upscaler file, so that nothing damaged or foreign reaches the native side.
 * @throws DiffusionError `ERR_MODEL_NOT_FOUND`, `ERR_MODEL_CORRUPT`, `ERR_MODEL_UNSUPPORTED`; the signal's reason.
 */
export async function checkUpscalerFile(path: string, field: string, signal?: AbortSignal): Promise<void> {
  const header = await readHeader(path, signal === undefined ? { field } : { field, signal });
  checkEngineReads(header, field);
  if (header.tensors.some(({ name }) => rrdbNet.test(name))) return;
  const hint = 'Take an ESRGAN or Real-ESRGAN model with RRDB blocks; others cannot be run.';
  const message = `Model file "${field}": ${path} is not an upscaler that the engine can run. ${hint}`;
  throw new DiffusionError('ERR_MODEL_UNSUPPORTED', message, { field, given: path, hint });
}
