/**
 * The smallest model that llama.cpp runs: one layer of width 64, random weights of one seed, a vocabulary of single bytes.
 * The format is GGUF 3 (docs/gguf.md of ggml), the names are those that llama.cpp gives to LLaMA's tensors.
 */
import { writeFileSync } from 'node:fs';

const width = 64;

const u32 = (value) => Buffer.from(Uint32Array.of(value).buffer);
const u64 = (value) => Buffer.from(BigUint64Array.of(BigInt(value)).buffer);
const f32 = (value) => Buffer.from(Float32Array.of(value).buffer);
const text = (value) => Buffer.concat([u64(Buffer.byteLength(value)), Buffer.from(value)]);

/** Number of the type in the format, and how a value is written. */
const kinds = { u32: [4, u32], i32: [5, u32], f32: [6, f32], string: [8, text] };
const ofArray = 9;

function key(name, kind, value) {
  const [type, encode] = kinds[kind];
  if (!Array.isArray(value)) return Buffer.concat([text(name), u32(type), encode(value)]);
  return Buffer.concat([text(name), u32(ofArray), u32(type), u64(value.length), ...value.map(encode)]);
}

const single = Array.from({ length: 256 }, (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`);
const tokens = ['<unk>', '<s>', '</s>', ...single];
const [unknown, control, byte] = [2, 3, 6];

const keys = [
  key('general.architecture', 'string', 'llama'),
  key('llama.context_length', 'u32', 256),
  key('llama.embedding_length', 'u32', width),
  key('llama.block_count', 'u32', 1),
  key('llama.feed_forward_length', 'u32', width),
  key('llama.attention.head_count', 'u32', 2),
  key('llama.rope.dimension_count', 'u32', width / 2),
  key('llama.attention.layer_norm_rms_epsilon', 'f32', 1e-5),
  key('tokenizer.ggml.model', 'string', 'llama'),
  key('tokenizer.ggml.tokens', 'string', tokens),
  key(
    'tokenizer.ggml.scores',
    'f32',
    tokens.map(() => 0),
  ),
  key('tokenizer.ggml.token_type', 'i32', [unknown, control, control, ...single.map(() => byte)]),
  key('tokenizer.ggml.bos_token_id', 'u32', 1),
  key('tokenizer.ggml.eos_token_id', 'u32', 2),
  key('tokenizer.ggml.unknown_token_id', 'u32', 0),
];

const products = ['attn_q', 'attn_k', 'attn_v', 'attn_output', 'ffn_gate', 'ffn_up', 'ffn_down'];
const tensors = [
  ...['token_embd', 'output'].map((name) => [`${name}.weight`, [width, tokens.length]]),
  ...products.map((name) => [`blk.0.${name}.weight`, [width, width]]),
  ...['blk.0.attn_norm', 'blk.0.ffn_norm', 'output_norm'].map((name) => [`${name}.weight`, [width]]),
];

/** Uniform in -0.5 to 0.5: the generator of Numerical Recipes. */
function uniform(seed) {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32 - 0.5;
  };
}

/** Writes the model to a file, the same bytes every time. */
export function writeTinyLlama(path) {
  const random = uniform(1);
  const infos = [];
  const data = [];
  let offset = 0;
  for (const [name, shape] of tensors) {
    const values = Float32Array.from({ length: shape.reduce((a, b) => a * b) }, () =>
      shape.length === 1 ? 1 : random(),
    );
    infos.push(text(name), u32(shape.length), ...shape.map(u64), u32(0), u64(offset));
    data.push(Buffer.from(values.buffer));
    offset += values.byteLength; // always a multiple of the format's alignment, 32
  }
  const counts = [u32(3), u64(tensors.length), u64(keys.length)];
  const head = Buffer.concat([Buffer.from('GGUF'), ...counts, ...keys, ...infos]);
  writeFileSync(path, Buffer.concat([head, Buffer.alloc(-head.length & 31), ...data]));
}
