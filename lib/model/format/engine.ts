import { quote, corrupt, unsupported } from './errors.js';
import type { FileHeader } from './types.js';

/** dtypes the engine reads from safetensors; U8 tensors it leaves out (`safetensors_io.cpp`). */
const safetensorsTypes: ReadonlySet<string> = new Set([
  'F64',
  'F32',
  'F16',
  'BF16',
  'F8_E4M3',
  'F8_E5M2',
  'I64',
  'I32',
  'U8',
]);
/** Storages the engine reads from pickles (`pickle_io.cpp`). */
const ckptTypes: ReadonlySet<string> = new Set(['F64', 'F32', 'F16', 'BF16', 'I64', 'I32']);
/** `SD_MAX_DIMS` of the engine. GGUF tensors with more are folded instead. */
const maxDimensions = 5;

/** Refuses a sound file that the engine would refuse, naming the tensor. */
export function checkEngineReads(header: FileHeader, field: string): void {
  const file = { path: header.path, field };
  if (header.tensors.length === 0) throw corrupt(file, 'it has no tensors', undefined);
  if (header.format === 'gguf') return;
  const types = header.format === 'ckpt' ? ckptTypes : safetensorsTypes;
  for (const tensor of header.tensors) {
    if (!types.has(tensor.dtype)) {
      throw unsupported(
        file,
        `tensor ${quote(tensor.name)} has the dtype ${tensor.dtype}, which the engine does not read from this format (it reads ${[...types].join(', ')})`,
        'Convert the model to F16, or to GGUF.',
      );
    }
    if (tensor.shape.length > maxDimensions) {
      throw unsupported(
        file,
        `tensor ${quote(tensor.name)} has ${String(tensor.shape.length)} dimensions, the engine reads at most ${String(maxDimensions)}`,
        'Take another file of the model.',
      );
    }
  }
}
