import {
  gguf,
  ggufKey,
  pickle,
  pickledStateDict,
  pkl,
  safetensors,
  safetensorsOf,
  torchLegacy,
  torchZip,
  u32,
  u64,
  zip,
} from './formatFixtures.js';

/** A file that must not be loaded, the code it is refused with, and what the message must name. */
export interface BadFile {
  readonly name: string;
  readonly bytes: Buffer;
  readonly codes: readonly string[];
  readonly says: RegExp;
}

const corrupt = ['ERR_MODEL_CORRUPT'];
const unsupported = ['ERR_MODEL_UNSUPPORTED'];
const tensor = 'model.diffusion_model.input_blocks.0.0.weight';
const entry = (change: object): Buffer =>
  safetensors({ [tensor]: { dtype: 'F16', shape: [4], data_offsets: [0, 8], ...change } }, 8);
const torch = [{ name: tensor, storage: '0', elements: 4, shape: [4] }];

/** Eight bytes of length 2^63 in front of a header. */
function hugeLength(): Buffer {
  const bytes = entry({});
  bytes.writeBigUInt64LE(1n << 63n, 0);
  return bytes;
}

function ggufOf(
  dims: readonly (number | bigint)[],
  { type = 1, offset = 0 }: { type?: number; offset?: number } = {},
): Buffer {
  return gguf({ tensors: [{ name: tensor, dims, type, offset }], data: 64 });
}

/** A stored entry that claims to unpack to 64 GiB. */
function bomb(): Buffer {
  const bytes = torchZip(torch);
  const directory = bytes.lastIndexOf(Buffer.from('504b0102', 'hex'), bytes.lastIndexOf(Buffer.from('archive/data/0')));
  bytes.writeUInt16LE(8, directory + 10);
  bytes.writeUInt32LE(0xfffffff0, directory + 24);
  return bytes;
}

const png = Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex');

export const badFiles: readonly BadFile[] = [
  { name: 'zero.safetensors', bytes: Buffer.alloc(0), codes: corrupt, says: /empty/ },
  { name: 'zeros.safetensors', bytes: Buffer.alloc(4096), codes: [...corrupt, ...unsupported], says: /zeros|no known/ },
  { name: 'length.safetensors', bytes: hugeLength(), codes: corrupt, says: /header length/ },
  { name: 'outside.safetensors', bytes: entry({ data_offsets: [4, 12] }), codes: corrupt, says: /outside/ },
  {
    name: 'overlap.safetensors',
    bytes: safetensors(
      { a: { dtype: 'F16', shape: [4], data_offsets: [0, 8] }, b: { dtype: 'F16', shape: [4], data_offsets: [4, 12] } },
      12,
    ),
    codes: corrupt,
    says: /share|overlap/,
  },
  { name: 'mismatch.safetensors', bytes: entry({ shape: [5] }), codes: corrupt, says: /bytes/ },
  { name: 'negative.safetensors', bytes: entry({ shape: [-4] }), codes: corrupt, says: /negative|number/ },
  {
    name: 'huge.safetensors',
    bytes: entry({ shape: [2 ** 40, 2 ** 40] }),
    codes: corrupt,
    says: /larger than any file|bytes/,
  },
  {
    name: 'dimensions.safetensors',
    bytes: entry({ shape: [4, ...Array.from({ length: 40 }, () => 1)] }),
    codes: [...corrupt, ...unsupported],
    says: /more than 8|too many/,
  },
  { name: 'json.safetensors', bytes: safetensors('{"a": nonsense}', 8), codes: corrupt, says: /header/ },
  {
    name: 'array.safetensors',
    bytes: safetensors('[1, 2, 3]', 8),
    codes: [...corrupt, ...unsupported],
    says: /JSON|no known|first bytes|text/,
  },
  {
    name: 'deep.safetensors',
    bytes: safetensors(`{"a":${'['.repeat(90_000)}`, 8),
    codes: corrupt,
    says: /header|lists|a/,
  },
  { name: 'dtype.safetensors', bytes: entry({ dtype: 'Q9_9' }), codes: corrupt, says: /dtype/ },
  { name: 'name.safetensors', bytes: safetensorsOf({ ['x'.repeat(100_000)]: [4] }), codes: corrupt, says: /name|1024/ },
  {
    name: 'blocks.safetensors',
    bytes: safetensorsOf({ 'model.diffusion_model.double_blocks.2000000000.img_attn.qkv.weight': [4, 4] }),
    codes: [...corrupt, ...unsupported],
    says: /block|double_blocks|architecture/,
  },
  {
    name: 'lora.safetensors',
    bytes: safetensorsOf({
      'lora_unet_down_blocks_0_proj_in.lora_down.weight': [2, 4],
      'lora_unet_down_blocks_0_proj_in.lora_up.weight': [4, 2],
    }),
    codes: unsupported,
    says: /LoRA|architecture/,
  },
  {
    name: 'page.safetensors',
    bytes: Buffer.from('<!doctype html>\n<html>Not found</html>'),
    codes: unsupported,
    says: /HTML|no known/,
  },
  { name: 'notes.ckpt', bytes: Buffer.from('just some text\n'.repeat(100)), codes: unsupported, says: /text|no known/ },
  {
    name: 'picture.safetensors',
    bytes: Buffer.concat([png, Buffer.alloc(5000, 7)]),
    codes: unsupported,
    says: /PNG|no known/,
  },
  {
    name: 'picture.gguf',
    bytes: Buffer.concat([Buffer.from('ffd8ffe000104a464946', 'hex'), Buffer.alloc(5000, 7)]),
    codes: unsupported,
    says: /JPEG|no known/,
  },
  { name: 'zero-axis.gguf', bytes: ggufOf([0, 0, 4]), codes: corrupt, says: /axis|bytes|dimension|0/ },
  { name: 'huge-axis.gguf', bytes: ggufOf([1n << 62n, 1n << 62n]), codes: corrupt, says: /larger|outside|dimension/ },
  { name: 'negative-axis.gguf', bytes: ggufOf([-1n]), codes: corrupt, says: /larger|axis|dimension/ },
  { name: 'dimensions.gguf', bytes: ggufOf(Array.from({ length: 9 }, () => 1)), codes: corrupt, says: /dimension/ },
  { name: 'type.gguf', bytes: ggufOf([4], { type: 4 }), codes: [...corrupt, ...unsupported], says: /type/ },
  { name: 'offset.gguf', bytes: ggufOf([4], { offset: 1 << 30 }), codes: corrupt, says: /outside|follow|offset|holes/ },
  {
    name: 'alignment.gguf',
    bytes: gguf({
      keys: [ggufKey('general.alignment', 10, u64(32))],
      tensors: [{ name: tensor, dims: [4], type: 1, offset: 0 }],
      data: 64,
    }),
    codes: corrupt,
    says: /alignment/,
  },
  {
    name: 'counts.gguf',
    bytes: Buffer.concat([Buffer.from('GGUF'), u32(3), u64(1n << 62n), u64(1n << 62n)]),
    codes: corrupt,
    says: /tensors|key/,
  },
  {
    name: 'empty-key.gguf',
    bytes: gguf({
      keys: [ggufKey('', 4, u32(1))],
      tensors: [{ name: tensor, dims: [4], type: 1, offset: 0 }],
      data: 64,
    }),
    codes: corrupt,
    says: /key/,
  },
  {
    name: 'string.gguf',
    bytes: gguf({
      keys: [Buffer.concat([u64(1n << 40n), Buffer.from('x')])],
      tensors: [{ name: tensor, dims: [4], type: 1, offset: 0 }],
      data: 64,
    }),
    codes: corrupt,
    says: /key/,
  },
  {
    name: 'foreign.ckpt',
    bytes: torchZip(
      torch,
      pickle(pkl.global('os', 'system'), pkl.op('('), pkl.text('touch /tmp/node-diffusion-was-here'), pkl.op('tR')),
    ),
    codes: [...corrupt, ...unsupported],
    says: /os|pickle|state|header/,
  },
  {
    name: 'opcode.ckpt',
    bytes: torchZip(torch, pickle(pkl.op('\x82\x01'), pickledStateDict(torch))),
    codes: [...corrupt, ...unsupported],
    says: /opcode|pickle/,
  },
  {
    name: 'copies.ckpt',
    bytes: torchZip(torch, pickle(pkl.op(`]${'q\x01](h\x01h\x01e'.repeat(30)}0`), pickledStateDict(torch))),
    codes: [...corrupt, ...unsupported],
    says: /pickle|measure|list/,
  },
  { name: 'bomb.ckpt', bytes: bomb(), codes: [...corrupt, ...unsupported], says: /ZIP|unpack|compressed/ },
  {
    name: 'no-pickle.ckpt',
    bytes: zip([{ name: 'readme.txt', bytes: Buffer.from('hello') }]),
    codes: unsupported,
    says: /data\.pkl/,
  },
  {
    name: 'negative.pt',
    bytes: torchLegacy([{ ...(torch[0] as (typeof torch)[0]), shape: [-4] }]),
    codes: [...corrupt, ...unsupported],
    says: /shape|axis|negative|-4|pickle|header/,
  },
];

/** Small valid files of each container, to be cut anywhere. */
export const wholeFiles: Readonly<Record<string, Buffer>> = {
  'whole.safetensors': safetensorsOf({ [tensor]: [4], 'first_stage_model.decoder.conv_in.bias': [8] }),
  'whole.gguf': gguf({
    keys: [ggufKey('general.alignment', 4, u32(32))],
    tensors: [{ name: tensor, dims: [4], type: 1, offset: 0 }],
    data: 8,
  }),
  'whole.ckpt': torchZip(torch),
  'whole.pt': torchLegacy(torch),
};
