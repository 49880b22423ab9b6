import type { Random } from './random.js';
import type { Container, Seed } from './seeds.js';
import { write } from './seeds.js';

/** Numbers that break what trusts them. */
const numbers = [
  '-1',
  '0',
  '1',
  '255',
  '65536',
  '2147483647',
  '4294967296',
  '9223372036854775807',
  '18446744073709551615',
  '1e99',
  '-0',
  'null',
  '"8"',
  '[]',
  '3.5',
];
const dtypes = ['F32', 'F64', 'F8_E4M3', 'I64', 'I32', 'U8', 'BOOL', 'BF16', 'Q4_0', '', 'F16\\u0000'];
const names = [
  'model.diffusion_model.double_blocks.99999999.img_attn.qkv.weight',
  'model.diffusion_model.joint_blocks.40000.context_block.attn.qkv.weight',
  'text_encoders.llm.model.layers.2147483647.mlp.up_proj.weight',
  'model.diffusion_model.transformer_blocks.999999999999999999.img_mod.1.weight',
  'body.99999.rdb1.conv1.weight',
  'model.1.sub.31.RDB1.conv1.0.weight',
  'model.diffusion_model.blocks.30000.cross_attn.q.weight',
  'x'.repeat(100_000),
  '__metadata__',
  '..',
  '',
];

export interface Mutation {
  readonly what: string;
  readonly bytes: Buffer;
}

/** One change, or a few, of a valid file. */
export function mutate(random: Random, seed: Seed, container: Container): Mutation {
  const whole = write(random.chance(0.5) ? reshape(random, seed) : seed, container);
  const rounds = random.chance(0.7) ? 1 : 1 + random.below(4);
  let bytes: Buffer = Buffer.from(whole);
  const what: string[] = [];
  for (let i = 0; i < rounds; i++) {
    const [name, change] = random.pick([...general, ...special[container]]);
    bytes = change(bytes, random);
    what.push(name);
  }
  return { what: what.join(', '), bytes };
}

/** Names, shapes and numbers of tensors that the container may hold, and a network may not. */
function reshape(random: Random, seed: Seed): Seed {
  const tensors = seed.tensors.map((tensor) => ({ ...tensor }));
  for (let i = 0; i <= random.below(3); i++) {
    const index = random.below(tensors.length);
    const tensor = tensors[index];
    if (tensor === undefined) continue;
    const kind = random.below(5);
    if (kind === 0) tensors[index] = { ...tensor, name: random.pick(names) };
    if (kind === 1)
      tensors[index] = {
        ...tensor,
        name: tensor.name.replace(/\d+/, String(random.pick([511, 512, 100, 40_000, 4_294_967_296]))),
      };
    if (kind === 2)
      tensors[index] = {
        ...tensor,
        shape: tensor.shape.map((size) => random.pick([1, 3, size, size * 2, 128, 1000])).slice(0, 5),
      };
    if (kind === 3) tensors.splice(index, 1 + random.below(tensors.length));
    if (kind === 4)
      tensors[index] = { ...tensor, shape: [...tensor.shape, ...Array.from({ length: random.below(6) }, () => 1)] };
  }
  const seen = new Set<string>();
  const unique = tensors.filter(({ name, shape }) => {
    const small = shape.reduce((a, b) => a * b, 1) < 2_000_000;
    return small && !seen.has(name) && seen.add(name);
  });
  return { family: seed.family, tensors: unique.length > 0 ? unique : seed.tensors };
}

type Change = (bytes: Buffer, random: Random) => Buffer;

/** Position in the head more often than in the weights. */
function place(bytes: Buffer, random: Random): number {
  return random.below(random.chance(0.5) ? Math.min(bytes.length, 256) : bytes.length);
}

const general: readonly (readonly [string, Change])[] = [
  [
    'flip',
    (bytes, random) => {
      const copy = Buffer.from(bytes);
      for (let i = 0; i <= random.below(4) && copy.length > 0; i++) {
        const at = place(copy, random);
        copy[at] = (copy[at] ?? 0) ^ (1 << random.below(8));
      }
      return copy;
    },
  ],
  ['cut', (bytes, random) => bytes.subarray(0, place(bytes, random))],
  ['extend', (bytes, random) => Buffer.concat([bytes, Buffer.alloc(random.below(5000), random.below(256))])],
  [
    'number',
    (bytes, random) => {
      const copy = Buffer.from(bytes);
      const value = random.pick([0n, 1n, 0xffffffffn, 1n << 63n, (1n << 64n) - 1n, 1n << 32n, 0x7fffffffn]);
      const width = random.pick([4, 8]);
      if (copy.length < width) return copy;
      const at = random.below(copy.length - width + 1) & (random.chance(0.5) ? ~3 : ~0);
      const view = Buffer.alloc(8);
      view.writeBigUInt64LE(value);
      view.copy(copy, at, 0, width);
      return copy;
    },
  ],
  [
    'splice',
    (bytes, random) => {
      const from = place(bytes, random);
      const part = bytes.subarray(from, from + random.below(64));
      const at = place(bytes, random);
      return Buffer.concat([bytes.subarray(0, at), part, bytes.subarray(random.chance(0.5) ? at : at + part.length)]);
    },
  ],
];

/** Replaces the JSON header, with the length in front made to fit. */
function withHeader(bytes: Buffer, change: (text: string) => string): Buffer {
  if (bytes.length < 8) return bytes;
  const length = Number(bytes.readBigUInt64LE(0));
  if (length > bytes.length - 8) return bytes;
  const text = Buffer.from(change(bytes.toString('utf8', 8, 8 + length)));
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([size, text, bytes.subarray(8 + length)]);
}

/** Replaces one of the matches, chosen at random. */
function replaceOne(text: string, pattern: RegExp, random: Random, by: string): string {
  const matches = [...text.matchAll(pattern)];
  if (matches.length === 0) return text;
  const match = random.pick(matches);
  return text.slice(0, match.index) + by + text.slice(match.index + match[0].length);
}

const jsonChanges: readonly (readonly [string, Change])[] = [
  [
    'json number',
    (bytes, random) => withHeader(bytes, (text) => replaceOne(text, /-?\d+/g, random, random.pick(numbers))),
  ],
  [
    'json dtype',
    (bytes, random) => withHeader(bytes, (text) => replaceOne(text, /"F16"/g, random, `"${random.pick(dtypes)}"`)),
  ],
  [
    'json token',
    (bytes, random) =>
      withHeader(bytes, (text) =>
        replaceOne(text, /[{}[\]:,"]/g, random, random.pick(['{', '}', '[', ']', ':', ',', '"', '', '[[', '\\u0000'])),
      ),
  ],
  [
    'json key',
    (bytes, random) =>
      withHeader(bytes, (text) =>
        replaceOne(
          text,
          /"(?:dtype|shape|data_offsets)"/g,
          random,
          random.pick(['"shape"', '"dtype"', '"data_offsets"', '"x"', '""']),
        ),
      ),
  ],
  [
    'json name',
    (bytes, random) =>
      withHeader(bytes, (text) => replaceOne(text, /"[^"]+\.(?:weight|bias)"/g, random, `"${random.pick(names)}"`)),
  ],
  [
    'json depth',
    (bytes, random) =>
      withHeader(bytes, (text) => replaceOne(text, /\d+/g, random, '['.repeat(1 + random.below(100_000)))),
  ],
  [
    'json tree',
    (bytes, random) =>
      withHeader(bytes, (text) =>
        replaceOne(text, /"pt"/g, random, random.pick(['{"a":{"b":[1,2]}}', 'null', '[[[]]]', '"\\ud800"', '1'])),
      ),
  ],
];

/** A pickle opcode in place of another, in the text between the head and the weights. */
const pickleChanges: readonly (readonly [string, Change])[] = [
  [
    'opcode',
    (bytes, random) => {
      const copy = Buffer.from(bytes);
      const at = random.below(Math.min(copy.length, 4000));
      copy.write(
        random.pick([
          ...'().}]NKMJILFGSVcihjqr0129RbuseatQXUTBC',
          '\x80',
          '\x81',
          '\x8a',
          '\x8c',
          '\x8d',
          '\x93',
          '\x94',
          '\x95',
          '\x96',
        ]),
        at,
        'latin1',
      );
      return copy;
    },
  ],
  [
    'global',
    (bytes, random) => {
      const foreign = random.pick([
        'os\nsystem',
        'builtins\neval',
        'torch\nQuaternionStorage',
        'torch._utils\n_rebuild_parameter',
      ]);
      return Buffer.from(
        bytes
          .toString('latin1')
          .replace(/torch\nHalfStorage|collections\nOrderedDict|torch\._utils\n_rebuild_tensor_v2/, foreign),
        'latin1',
      );
    },
  ],
  [
    'integer',
    (bytes, random) => {
      const copy = Buffer.from(bytes);
      const places = [...copy.keys()].filter((at) => copy[at] === 0x4a && at + 5 <= copy.length).slice(0, 2000);
      if (places.length > 0)
        copy.writeInt32LE(random.pick([-1, 0, 1, 2 ** 31 - 1, -(2 ** 31), 65536]), random.pick(places) + 1);
      return copy;
    },
  ],
  [
    'bomb',
    (bytes) => {
      // Lists of lists, each twice the one before: 2^30 values if they were copied.
      const at = bytes.indexOf(Buffer.from('}(', 'latin1'));
      if (at < 0) return bytes;
      const bomb = Buffer.from(`]${'q\x01](h\x01h\x01e'.repeat(30)}0`, 'latin1');
      return Buffer.concat([bytes.subarray(0, at), bomb, bytes.subarray(at)]);
    },
  ],
];

const zipChanges: readonly (readonly [string, Change])[] = [
  [
    'directory',
    (bytes, random) => {
      const copy = Buffer.from(bytes);
      const signature = Buffer.from(random.pick(['504b0102', '504b0304', '504b0506']), 'hex');
      const places: number[] = [];
      for (let at = copy.indexOf(signature); at >= 0 && places.length < 500; at = copy.indexOf(signature, at + 1))
        places.push(at);
      if (places.length === 0) return copy;
      const at = random.pick(places) + random.below(46);
      if (at + 4 <= copy.length) copy.writeUInt32LE(random.pick([0, 8, 0xffff, 0xffffffff, 0x7fffffff, 1]), at);
      return copy;
    },
  ],
  [
    'entry name',
    (bytes, random) =>
      Buffer.from(
        bytes
          .toString('latin1')
          .replaceAll(
            'archive/data/0',
            random.pick(['archive/data/1', 'archive/data.pkl', '../../../../x', 'archive\\data\\0']),
          ),
        'latin1',
      ),
  ],
];

const special: Record<Container, readonly (readonly [string, Change])[]> = {
  safetensors: [...jsonChanges, ...jsonChanges],
  gguf: [
    [
      'gguf field',
      (bytes, random) => {
        const copy = Buffer.from(bytes);
        const at = 4 + 4 * random.below(Math.min(200, Math.floor(copy.length / 4) - 2));
        if (at + 4 <= copy.length && at >= 0)
          copy.writeUInt32LE(random.pick([0, 1, 2, 3, 4, 5, 9, 12, 40, 64, 127, 1000, 0xffffffff, 0x80000000]), at);
        return copy;
      },
    ],
    [
      'gguf dimension',
      (bytes, random) => {
        const copy = Buffer.from(bytes);
        const at = copy.indexOf(Buffer.from('weight'), random.below(Math.max(1, copy.length - 100)));
        if (at > 0 && at + 30 < copy.length)
          copy.writeBigUInt64LE(
            BigInt(random.pick(['0', '1', '18446744073709551615', '4294967296', '1099511627776'])),
            at + 6 + random.pick([0, 4, 12, 20]),
          );
        return copy;
      },
    ],
  ],
  zip: [...pickleChanges, ...zipChanges],
  legacy: [...pickleChanges, ...pickleChanges],
};
