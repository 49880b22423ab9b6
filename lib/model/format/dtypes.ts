/**
 * Bits per element of safetensors' dtypes. Source: the safetensors format description and the reference library's
 * `Dtype`, https://huggingface.co/docs/safetensors.
 */
export const safetensorsBits: ReadonlyMap<string, number> = new Map([
  ['F64', 64],
  ['F32', 32],
  ['F16', 16],
  ['BF16', 16],
  ['F8_E4M3', 8],
  ['F8_E5M2', 8],
  ['F8_E8M0', 8],
  ['F6_E2M3', 6],
  ['F6_E3M2', 6],
  ['F4', 4],
  ['C64', 64],
  ['I64', 64],
  ['I32', 32],
  ['I16', 16],
  ['I8', 8],
  ['U64', 64],
  ['U32', 32],
  ['U16', 16],
  ['U8', 8],
  ['BOOL', 8],
]);

/** PyTorch's storage classes, by the dtype they hold and its bytes per element. */
export const torchStorages: ReadonlyMap<string, { readonly dtype: string; readonly bytes: number }> = new Map([
  ['torch.DoubleStorage', { dtype: 'F64', bytes: 8 }],
  ['torch.FloatStorage', { dtype: 'F32', bytes: 4 }],
  ['torch.HalfStorage', { dtype: 'F16', bytes: 2 }],
  ['torch.BFloat16Storage', { dtype: 'BF16', bytes: 2 }],
  ['torch.LongStorage', { dtype: 'I64', bytes: 8 }],
  ['torch.IntStorage', { dtype: 'I32', bytes: 4 }],
  ['torch.ShortStorage', { dtype: 'I16', bytes: 2 }],
  ['torch.CharStorage', { dtype: 'I8', bytes: 1 }],
  ['torch.ByteStorage', { dtype: 'U8', bytes: 1 }],
  ['torch.BoolStorage', { dtype: 'BOOL', bytes: 1 }],
]);
