import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readHeader } from '../../lib/model/format/index.js';
import { parseUsual, type SafetensorsEntry } from '../../lib/model/format/safetensors-usual.js';
import { safetensors, Workshop } from '../support/formatFixtures.js';

const shop = new Workshop();
beforeAll(() => shop.open());
afterAll(() => shop.close());

const tensor = (name: string, { dtype, shape, begin, end }: SafetensorsEntry) => ({
  ...{ name, dtype, shape },
  ...{ offset: begin, bytes: end - begin },
});
const usual = (text: string | Buffer) => parseUsual(Buffer.from(text as string), tensor);
const one = '"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}';

describe('safetensors headers of the usual form', () => {
  it('are read as the scanner reads them', async () => {
    const names = Array.from({ length: 50 }, (_, index) => `blocks.${String(index)}.0.weight é`);
    const entries = names.map((name, index) => {
      const at = String(index * 4);
      return `"${name}":{"shape":[2, 2],"dtype":"U8","more":[{"a":null}],"data_offsets":[${at},${String(index * 4 + 4)}]}`;
    });
    const text = `{"__metadata__":{"format":"pt","note":"x"},${entries.join(',')}}  `;
    // One key written with an escape is enough to leave the short way.
    const scanned = text.replace('"shape"', '"sh\\u0061pe"');
    expect(usual(text)).toBeDefined();
    expect(usual(scanned)).toBeUndefined();
    const [first, second] = await Promise.all(
      [text, scanned].map(async (header) => readHeader(await shop.file(safetensors(header, 200)))),
    );
    const shift = scanned.length - text.length;
    const moved = second?.tensors.map((entry) => ({ ...entry, offset: entry.offset - shift }));
    expect(first?.tensors).toEqual(moved);
    expect({ ...first?.metadata }).toEqual({ format: 'pt', note: 'x' });
    expect(first?.metadata).toEqual(second?.metadata);
  });

  it.each([
    ['no JSON', '{'],
    ['a list', '[]'],
    ['a name twice', `{${one},${one}}`],
    ['a key of a tensor twice', '{"a":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}}'],
    ['metadata twice', `{"__metadata__":{},"__metadata__":{},${one}}`],
    ['metadata that is no text', `{"__metadata__":{"n":1},${one}}`],
    ['a name that is a number', `{${one.replace('"a"', '"7"')}}`],
    ['a long name', `{${one.replace('"a"', `"${'a'.repeat(400)}"`)}}`],
    ['a control character as an escape', `{${one.replace('"a"', '"\\u0000"')}}`],
    ['a number with a point', `{${one.replace('[1]', '[1.0]')}}`],
    ['a number with an exponent', `{${one.replace('[1]', '[1e0]')}}`],
    ['minus zero', `{${one.replace('[0,', '[-0,')}}`],
    ['an inexact number', `{${one.replace('[1]', '[9007199254740993]')}}`],
    ['three offsets', `{${one.replace('[0,1]', '[0,1,2]')}}`],
    ['nine dimensions', `{${one.replace('[1]', '[1,1,1,1,1,1,1,1,1]')}}`],
    ['an entry that is null', '{"a":null}'],
  ])('leave %s to the scanner', (_, text) => {
    expect(usual(text)).toBeUndefined();
  });

  it('leave broken UTF-8 to the scanner', () => {
    expect(usual(Buffer.from(`{${one.replace('"a"', '"\xff"')}}`, 'latin1'))).toBeUndefined();
    expect(usual(`{${one}}`)?.tensors).toEqual([{ name: 'a', dtype: 'U8', shape: [1], offset: 0, bytes: 1 }]);
  });
});
