import { describe, expect, it } from 'vitest';
import { DiffusionError } from '../../lib/errors/index.js';
import { formatLoraTag, parseLoraTags } from '../../lib/weights/index.js';

const tag = (text: string) => parseLoraTags(text).tags[0];

describe('tags of LoRAs', () => {
  it.each([
    ['<lora:a>', { name: 'a', textEncoderWeight: 1, unetWeight: 1, dyn: 0 }],
    ['<lora:a:0.5>', { name: 'a', textEncoderWeight: 0.5, unetWeight: 0.5, dyn: 0 }],
    ['<lora:a:0.5:0.25>', { name: 'a', textEncoderWeight: 0.5, unetWeight: 0.25, dyn: 0 }],
    ['<lora:a:0.5:0.25:8>', { name: 'a', textEncoderWeight: 0.5, unetWeight: 0.25, dyn: 8 }],
    ['<lora:a:te=0>', { name: 'a', textEncoderWeight: 0, unetWeight: 0, dyn: 0 }],
    ['<lora:a:unet=0.3>', { name: 'a', textEncoderWeight: 1, unetWeight: 0.3, dyn: 0 }],
    ['<lora:a:0.5:dyn=4>', { name: 'a', textEncoderWeight: 0.5, unetWeight: 0.5, dyn: 4 }],
    ['<lyco:my style:-1>', { name: 'my style', textEncoderWeight: -1, unetWeight: -1, dyn: 0 }],
  ])('%s', (text, expected) => {
    expect(tag(text)).toEqual(expected);
  });

  it('leaves everything else in the prompt', () => {
    const { prompt, tags } = parseLoraTags('a <hypernet:h:1> cat<lora:one:0.5>, <b> (red:1.2) <lora:two>');
    expect(prompt).toBe('a <hypernet:h:1> cat, <b> (red:1.2) ');
    expect(tags.map(({ name }) => name)).toEqual(['one', 'two']);
  });

  it.each(['<lora::1>', '<lora:a:x>', '<lora:a:1:2:x>', '<lora:a:foo=1>', '<lora:a:Infinity>'])(
    'refuses %s',
    (text) => {
      expect(() => parseLoraTags(text)).toThrow(DiffusionError);
      expect(() => parseLoraTags(text)).toThrow(/Invalid tag/);
    },
  );

  it('writes what it reads', () => {
    for (const text of ['<lora:a:1>', '<lora:a:0.5:0.25>', '<lora:a:0.5:0.5:8>']) {
      expect(formatLoraTag(tag(text) ?? { name: '', textEncoderWeight: 0, unetWeight: 0, dyn: 0 })).toBe(text);
    }
  });
});
