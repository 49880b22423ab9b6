import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { limits, readHeader } from '../../lib/model/format/index.js';
import {
  cuts,
  failure,
  pickle,
  pickledDict,
  pickledStateDict,
  pickledTensor,
  pkl,
  torchLegacy,
  type TorchTensor,
  torchZip,
  u16,
  u32,
  u64,
  Workshop,
  zip,
} from '../support/formatFixtures.js';

const shop = new Workshop();
beforeAll(() => shop.open());
afterAll(() => shop.close());

const tensors: TorchTensor[] = [
  { name: 'model.weight', storage: '0', elements: 12, shape: [3, 4] },
  { name: 'model.bias', storage: '1', elements: 4, shape: [4], type: 'HalfStorage' },
  { name: 'step', storage: '10', elements: 1, shape: [], type: 'LongStorage' },
];
const one: TorchTensor = { name: 'a', storage: '0', elements: 4, shape: [4] };

const header = async (bytes: Uint8Array) => readHeader(await shop.file(bytes));
const corrupt = (bytes: Uint8Array, ...texts: string[]) => failure(header(bytes), 'ERR_MODEL_CORRUPT', ...texts);
const unsupported = (bytes: Uint8Array, ...texts: string[]) =>
  failure(header(bytes), 'ERR_MODEL_UNSUPPORTED', ...texts);
const facts = (read: Awaited<ReturnType<typeof header>>) =>
  read.tensors.map(({ name, dtype, shape, bytes }) => ({ name, dtype, shape, bytes }));

describe.each([
  ['ZIP', torchZip],
  ['legacy', torchLegacy],
])('torch.save, %s container', (container, save) => {
  it('reads tensors where their bytes lie', async () => {
    const bytes = save(tensors);
    const read = await header(bytes);
    expect(read.format).toBe('ckpt');
    expect(facts(read)).toEqual([
      { name: 'model.weight', dtype: 'F32', shape: [3, 4], bytes: 48 },
      { name: 'model.bias', dtype: 'F16', shape: [4], bytes: 8 },
      { name: 'step', dtype: 'I64', shape: [], bytes: 8 },
    ]);
    const marker = container === 'ZIP' ? Buffer.from('archive/data/1') : u64(4);
    const bias = read.tensors[1]?.offset ?? 0;
    expect(bytes.subarray(bias - marker.length, bias)).toEqual(marker);
  });

  it('gives a typed error for every cut', async () => {
    const whole = save(tensors);
    for (const length of cuts(whole.length)) {
      await failure(readHeader(await shop.file(whole.subarray(0, length), 'cut.bin')), 'ERR_MODEL_CORRUPT', 'at byte');
    }
  });

  it('gives a typed error or a header for every changed byte', async () => {
    const whole = save([one]);
    let refused = 0;
    for (let at = 0; at < whole.length; at++) {
      const bytes = Buffer.from(whole);
      bytes.writeUInt8((bytes[at] ?? 0) ^ 0x1f, at);
      const result = await readHeader(await shop.file(bytes, 'flipped.bin')).catch((error: unknown) => error);
      if (!(result instanceof Error)) continue;
      refused++;
      expect(result).toHaveProperty('code', expect.stringMatching(/^ERR_MODEL_/));
    }
    expect(refused).toBeGreaterThan(100);
  });

  it('reads state dictionaries inside others, views and tied weights, and scalars as metadata', async () => {
    const tied: TorchTensor[] = [
      { name: 'all', storage: '0', elements: 12, shape: [12] },
      { name: 'rows', storage: '0', elements: 12, shape: [2, 4], offset: 4 },
    ];
    const state = pickledDict({
      state_dict: pickledStateDict(tied),
      epoch: pkl.int(6),
      'pytorch-lightning_version': pkl.text('1.4.2'),
    });
    const bytes = container === 'ZIP' ? torchZip(tied, pickle(state)) : torchLegacy(tied, state);
    const read = await header(bytes);
    expect(facts(read).map(({ name, shape }) => [name, shape])).toEqual([
      ['all', [12]],
      ['rows', [2, 4]],
    ]);
    expect((read.tensors[1]?.offset ?? 0) - (read.tensors[0]?.offset ?? 0)).toBe(16);
    expect({ ...read.metadata }).toEqual({ epoch: 6, 'pytorch-lightning_version': '1.4.2' });
  });

  it('names the layers of a hypernetwork by their whole path', async () => {
    const layers: TorchTensor[] = ['0', '1'].map((storage) => ({
      name: 'linear.0.weight',
      storage,
      elements: 4,
      shape: [4],
    }));
    const pair = [pkl.op('('), ...layers.map((layer) => pickledStateDict([layer])), pkl.op('t')];
    const state = Buffer.concat([pkl.op('}'), pkl.int(768), ...pair, pkl.op('s')]);
    const read = await header(container === 'ZIP' ? torchZip(layers, pickle(state)) : torchLegacy(layers, state));
    expect(read.tensors.map((tensor) => tensor.name)).toEqual(['768.0.linear.0.weight', '768.1.linear.0.weight']);
  });

  it.each([
    ['os', 'system'],
    ['posix', 'system'],
    ['builtins', 'eval'],
    ['builtins', 'getattr'],
    ['subprocess', 'Popen'],
    ['torch', 'load'],
    ['torch.hub', 'load'],
  ])('refuses a pickle that asks for %s.%s and runs nothing', async (module, name) => {
    const witness = join(shop.directory, 'executed');
    const call = Buffer.concat([pkl.global(module, name), pkl.op('('), pkl.text(`touch ${witness}`), pkl.op('tR')]);
    const state = pickledDict({ a: pickledTensor(one), bad: call });
    const bytes = container === 'ZIP' ? torchZip([one], pickle(state)) : torchLegacy([one], state);
    const error = await corrupt(bytes, `"${module}.${name}"`, 'not executed', 'at byte');
    expect(error.hint).toContain('safetensors');
    await expect(access(witness)).rejects.toThrow('ENOENT');
  });

  it('refuses the same name built on the stack', async () => {
    const state = Buffer.concat([pkl.text('os'), pkl.text('system'), pkl.op('\x93')]);
    await corrupt(container === 'ZIP' ? torchZip([one], pickle(state)) : torchLegacy([one], state), '"os.system"');
  });

  it.each([
    ['a tensor past its storage', { ...one, shape: [5] }, 'outside its storage'],
    ['an offset past its storage', { ...one, offset: 1 }, 'outside its storage'],
    ['a negative dimension', { ...one, shape: [-4], strides: [1] }, 'non-negative'],
    ['a negative offset', { ...one, offset: -1 }, 'bad offset'],
    [
      'huge dimensions',
      { ...one, shape: Array<number>(6).fill(2 ** 30), strides: Array<number>(6).fill(1) },
      'outside its storage',
    ],
    ['too many dimensions', { ...one, shape: Array<number>(9).fill(1) }, '9 dimensions'],
    ['strides of another rank', { ...one, strides: [1, 1] }, 'dimensions than strides'],
    ['a negative storage', { ...one, elements: -4 }, 'storage'],
    ['an unknown storage type', { ...one, type: 'QInt8Storage' }, '"torch.QInt8Storage"'],
    ['a name of 100 kB', { ...one, name: 'n'.repeat(100_000) }, 'bad tensor name'],
  ])('refuses %s', async (_, bad, text) => {
    await corrupt(
      save([one], container === 'ZIP' ? pickle(pickledStateDict([bad])) : pickledStateDict([bad])),
      text,
      'at byte',
    );
  });

  it('says that transposed tensors are not supported', async () => {
    const transposed: TorchTensor = { ...one, shape: [2, 2], strides: [1, 2] };
    await unsupported(save([transposed]), 'strides [1, 2]', '.contiguous()');
  });

  it.each([
    ['an empty stack', pkl.op('t')],
    ['an opcode of classic classes', Buffer.from('ios\nsystem\n')],
    ['an extension opcode', Buffer.from([0x82, 1])],
    ['a memo entry that was never stored', Buffer.from([0x68, 9])],
    ['a key without a value', Buffer.concat([pkl.op('}('), pkl.text('a'), pkl.op('u')])],
    ['items of a number', Buffer.concat([pkl.int(1), pkl.op('('), pkl.text('a'), pkl.int(1), pkl.op('u')])],
    ['a call of a text', Buffer.concat([pkl.text('a'), pkl.op(')R')])],
    ['a text of 4 GB', Buffer.concat([pkl.op('X'), u32(0xffffffff)])],
    ['a persistent id of no storage', Buffer.concat([pkl.text('storage'), pkl.op('Q')])],
    [
      'nesting without end',
      Buffer.concat([
        pkl.op('}'),
        ...Array.from({ length: 5000 }, () => Buffer.concat([pkl.text('k'), pkl.op('}')])),
        pkl.op('s'.repeat(5000)),
      ]),
    ],
    ['millions of opcodes', Buffer.alloc(limits.pickleOpcodes + 10, ']')],
  ])('refuses %s', async (_, body) => {
    await corrupt(container === 'ZIP' ? torchZip([one], pickle(body)) : torchLegacy([one], body), 'at byte');
  });

  it('survives a dictionary that holds itself', async () => {
    const state = Buffer.concat([
      pkl.op('}q\x00'),
      pkl.text('self'),
      pkl.op('h\x00s'),
      pkl.text('a'),
      pickledTensor(one),
      pkl.op('s'),
    ]);
    const read = await header(container === 'ZIP' ? torchZip([one], pickle(state)) : torchLegacy([one], state));
    expect(read.tensors.map((tensor) => tensor.name)).toEqual(['a']);
  });

  it('says that a pickle without tensors is not supported', async () => {
    const state = pickledDict({ epoch: pkl.int(1) });
    await unsupported(container === 'ZIP' ? torchZip([one], pickle(state)) : torchLegacy([one], state), 'no tensors');
  });
});

describe('ZIP container', () => {
  const data = pickle(pickledStateDict([one]));

  it('reads what is beside the weights of well-known checkpoints without a meaning for it', async () => {
    const scalar = Buffer.concat([
      pkl.global('numpy.core.multiarray', 'scalar'),
      pkl.op('('),
      pkl.global('numpy', 'dtype'),
      pkl.op('('),
      pkl.text('f8'),
      pkl.op('\x89\x88tR('),
      pkl.int(3),
      pkl.op('tbC\x02\x01\x02tR'),
    ]);
    const parameter = Buffer.concat([
      pkl.global('torch._utils', '_rebuild_parameter'),
      pkl.op('('),
      pickledTensor(one),
      pkl.op('\x88'),
      pkl.global('collections', 'OrderedDict'),
      pkl.op(')RtR'),
    ]);
    const dictionary = Buffer.concat([
      pkl.global('torch.nn.modules.container', 'ParameterDict'),
      pkl.op(')\x81'),
      pickledDict({ '*': parameter }),
      pkl.op('b'),
    ]);
    const callbacks = Buffer.concat([
      pkl.op('}'),
      pkl.global('pytorch_lightning.callbacks.model_checkpoint', 'ModelCheckpoint'),
      pickledDict({ best: scalar }),
      pkl.op('s'),
    ]);
    const read = await header(torchZip([one], pickle(pickledDict({ callbacks, string_to_param: dictionary }))));
    expect(facts(read)).toEqual([{ name: '*', dtype: 'F32', shape: [4], bytes: 16 }]);
  });

  it.each([
    ['a missing storage', [{ name: 'archive/data.pkl', bytes: data }], '"archive/data/0" with weights is missing'],
    [
      'a storage that is too small',
      [
        { name: 'archive/data.pkl', bytes: data },
        { name: 'archive/data/0', bytes: Buffer.alloc(15) },
      ],
      'its storage needs 16',
    ],
    [
      'an entry that runs into the directory',
      [
        { name: 'archive/data.pkl', bytes: data },
        { name: 'archive/data/0', bytes: Buffer.alloc(16), size: 4000 },
      ],
      'runs into the directory',
    ],
    [
      'two pickles',
      [
        { name: 'archive/data.pkl', bytes: data },
        { name: 'other/data.pkl', bytes: data },
      ],
      '2 entries named like data.pkl',
    ],
    [
      'a name twice',
      [
        { name: 'a', bytes: data },
        { name: 'a', bytes: data },
      ],
      'appears twice',
    ],
    ['an empty pickle', [{ name: 'archive/data.pkl', bytes: Buffer.alloc(0) }], 'the pickle ends'],
  ])('refuses %s', async (_, files, text) => {
    await corrupt(zip(files), text, 'at byte');
  });

  it('says that compressed entries, TorchScript, big-endian weights and other archives are not supported', async () => {
    const storage = { name: 'archive/data/0', bytes: Buffer.alloc(16) };
    const entry = { name: 'archive/data.pkl', bytes: data };
    await unsupported(zip([{ ...entry, method: 8 }, storage]), 'compressed');
    await unsupported(zip([entry, { ...storage, method: 8 }]), 'compressed');
    await unsupported(zip([entry, storage, { name: 'archive/code/x.py', bytes: data }]), 'TorchScript');
    await unsupported(zip([entry, storage, { name: 'archive/byteorder', bytes: Buffer.from('big') }]), 'big-endian');
    await unsupported(zip([{ name: 'word/document.xml', bytes: data }]), 'no data.pkl', 'word/document.xml');
    await unsupported(zip([]), 'no data.pkl');
  });

  it('refuses storages that share bytes, and a local header of another entry', async () => {
    const second: TorchTensor = { ...one, name: 'b', storage: '1' };
    const entry = { name: 'archive/data.pkl', bytes: pickle(pickledStateDict([one, second])) };
    const next = { name: 'archive/data/1', bytes: Buffer.alloc(16) };
    await corrupt(zip([entry, { name: 'archive/data/0', bytes: Buffer.alloc(16), size: 64 }, next]), 'overlap');
    const bytes = torchZip([one, second]);
    const record = bytes.lastIndexOf('archive/data/1') - 46;
    const first = bytes.lastIndexOf('archive/data/0') - 46;
    bytes.copy(bytes, record + 42, first + 42, first + 46);
    await corrupt(bytes, 'disagrees with the directory');
  });

  it('reads ZIP64 records', async () => {
    const bytes = torchZip([one]);
    const end = bytes.length - 22;
    const directory = bytes.readUInt32LE(end + 16);
    const record = Buffer.concat([
      u32(0x06064b50),
      u64(44),
      u16(45),
      u16(45),
      u32(0),
      u32(0),
      u64(3),
      u64(3),
      u64(bytes.readUInt32LE(end + 12)),
      u64(directory),
    ]);
    const locator = Buffer.concat([u32(0x07064b50), u32(0), u64(end), u32(1)]);
    const small = Buffer.concat([
      u32(0x06054b50),
      u32(0),
      u16(0xffff),
      u16(0xffff),
      u32(0xffffffff),
      u32(0xffffffff),
      u16(0),
    ]);
    const read = await header(Buffer.concat([bytes.subarray(0, end), record, locator, small]));
    expect(facts(read)).toEqual([{ name: 'a', dtype: 'F32', shape: [4], bytes: 16 }]);
    const far = Buffer.concat([u32(0x07064b50), u32(0), u64(2n ** 63n), u32(1)]);
    await corrupt(Buffer.concat([bytes.subarray(0, end), record, far, small]), 'past the end');
  });
});

describe('legacy container', () => {
  it('refuses another protocol, storages out of order and a wrong element count', async () => {
    const whole = torchLegacy(tensors);
    const other = Buffer.from(whole);
    other.writeUInt16LE(1002, other.indexOf(u16(1001)));
    await corrupt(other, 'protocol is 1002');
    const order = Buffer.from(whole);
    order.write('9', order.lastIndexOf(pkl.text('0')) + 5);
    await corrupt(order, 'not a sorted list');
    const count = Buffer.from(whole);
    count.writeUInt8(13, count.length - 16 - 16 - 56);
    await corrupt(count, 'elements, its description says');
  });

  it('reads a state dictionary without the leading pickles, as the engine does', async () => {
    const keys = pickle(pkl.op(']('), pkl.text('0'), pkl.op('e'));
    const read = await header(Buffer.concat([pickle(pickledStateDict([one])), keys, u64(4), Buffer.alloc(16)]));
    expect(facts(read)).toEqual([{ name: 'a', dtype: 'F32', shape: [4], bytes: 16 }]);
  });

  it('reads pickles that are longer than the first read', async () => {
    const note = pkl.text('x'.repeat(600_000));
    const read = await header(torchLegacy([one], pickledDict({ note, a: pickledTensor(one) })));
    expect(facts(read)).toEqual([{ name: 'a', dtype: 'F32', shape: [4], bytes: 16 }]);
  });
});
