import { torchStorages } from './dtypes.js';

export const orderedDict = 'collections.OrderedDict';
export const rebuildTensor: ReadonlySet<string> = new Set([
  'torch._utils._rebuild_tensor',
  'torch._utils._rebuild_tensor_v2',
]);
export const rebuildParameter: ReadonlySet<string> = new Set([
  'torch._utils._rebuild_parameter',
  'torch._utils._rebuild_parameter_with_state',
]);

const dtypeNames = ['float64', 'float32', 'float16', 'bfloat16', 'int64', 'int32', 'int16', 'int8', 'uint8', 'bool'];

/**
 * Python names a checkpoint may mention. None of them is looked up, imported or called. Those without a meaning above
 * become opaque values; they occur in the training state beside the weights of well-known checkpoints.
 */
const allowed: ReadonlySet<string> = new Set([
  orderedDict,
  ...rebuildTensor,
  ...rebuildParameter,
  ...torchStorages.keys(),
  ...dtypeNames.map((name) => `torch.${name}`),
  'torch.Size',
  'torch.device',
  'torch.nn.modules.container.ParameterDict',
  'collections.defaultdict',
  'collections.Counter',
  '_codecs.encode',
  'numpy.dtype',
  'numpy.ndarray',
  'numpy.core.multiarray.scalar',
  'numpy.core.multiarray._reconstruct',
  'numpy._core.multiarray.scalar',
  'numpy._core.multiarray._reconstruct',
  'pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint',
  ...['__builtin__', 'builtins'].flatMap((module) =>
    ['set', 'frozenset', 'dict', 'list', 'int', 'float', 'bool'].map((name) => `${module}.${name}`),
  ),
]);

export function isAllowedGlobal(name: string): boolean {
  return allowed.has(name);
}
