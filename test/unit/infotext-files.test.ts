import { deflateSync } from 'node:zlib';
import * as zlib from 'node:zlib';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { readInfotext } from '../../lib/image/index.js';
import { crc32 } from '../../lib/image/crc32.js';
import { readUserComment, writeUserComment } from '../../lib/image/exif.js';
import { insertPngText, readPngText } from '../../lib/image/png-text.js';

const text = 'ä red apple\nSteps: 4, Sampler: Euler a, Seed: 1';
const png = () =>
  sharp({ create: { width: 4, height: 4, channels: 3, background: 'red' } })
    .png()
    .toBuffer();

/** A PNG with one more chunk after its header. */
function withChunk(file: Buffer, type: string, data: Buffer, crcOffset = 0): Buffer {
  const chunk = Buffer.alloc(12 + data.length);
  chunk.writeUInt32BE(data.length, 0);
  chunk.write(type, 4, 'latin1');
  data.copy(chunk, 8);
  chunk.writeUInt32BE((crc32(chunk.subarray(4, 8 + data.length)) + crcOffset) >>> 0, 8 + data.length);
  return Buffer.concat([file.subarray(0, 33), chunk, file.subarray(33)]);
}

describe('PNG text', () => {
  it('has the CRC of the standard', () => {
    // The check value of CRC-32/ISO-HDLC.
    expect(crc32(Buffer.from('123456789'))).toBe(0xcbf43926);
    const bytes = Buffer.from(text.repeat(50));
    if ('crc32' in zlib) expect(crc32(bytes)).toBe(zlib.crc32(bytes));
  });

  it('is a chunk libpng reads too', async () => {
    // sharp takes tEXt for UTF-8, so Latin-1 letters are left to the other tests.
    for (const value of ['a red apple\nSteps: 4', '林檎 🍎']) {
      const file = insertPngText(await png(), 'parameters', value);
      expect((await sharp(file).metadata()).comments).toEqual([{ keyword: 'parameters', text: value }]);
      await sharp(file, { failOn: 'warning' }).raw().toBuffer();
    }
  });

  it('is read from zTXt and from compressed iTXt', async () => {
    const file = await png();
    const packed = Buffer.concat([Buffer.from('parameters\0\0', 'latin1'), deflateSync(Buffer.from(text, 'latin1'))]);
    expect(await readInfotext(withChunk(file, 'zTXt', packed))).toBe(text);
    const international = Buffer.concat([
      Buffer.from('parameters\0\x01\0de\0Parameter\0', 'latin1'),
      deflateSync(Buffer.from(text)),
    ]);
    expect(await readInfotext(withChunk(file, 'iTXt', international))).toBe(text);
  });

  it('passes over other keywords, wrong CRCs, broken data and bombs', async () => {
    const file = await png();
    const entry = Buffer.from('parameters\0abc', 'latin1');
    const bomb = Buffer.concat([Buffer.from('parameters\0\0', 'latin1'), deflateSync(Buffer.alloc(64 * 1024 * 1024))]);
    const broken = [
      withChunk(file, 'tEXt', Buffer.from('Software\0abc', 'latin1')),
      withChunk(file, 'tEXt', entry, 1),
      withChunk(file, 'tEXt', Buffer.from('parameters', 'latin1')),
      withChunk(file, 'zTXt', Buffer.from('parameters\0\0notzlib', 'latin1')),
      withChunk(file, 'iTXt', Buffer.from('parameters\0\0\0', 'latin1')),
      withChunk(file, 'zTXt', bomb),
    ];
    for (const candidate of broken) expect(readPngText(candidate, 'parameters')).toBeNull();
    const whole = withChunk(file, 'tEXt', entry);
    for (let length = 33; length < whole.length; length++) {
      const found = readPngText(whole.subarray(0, length), 'parameters');
      expect(found === null || found === 'abc').toBe(true);
    }
  });
});

describe('EXIF UserComment', () => {
  it('is read back, with the prefix of JPEG too', () => {
    for (const value of [text, '日本語', '', 'x'.repeat(70_000)]) {
      const block = writeUserComment(value);
      expect(readUserComment(block)).toBe(value);
      expect(readUserComment(Buffer.concat([Buffer.from('Exif\0\0', 'latin1'), block]))).toBe(value);
    }
  });

  it('is read in little-endian order, with a byte order mark, as ASCII and as bare UTF-8', () => {
    const comment = (bytes: Buffer) => {
      const block = Buffer.concat([writeUserComment('').subarray(0, 44), bytes]);
      block.writeUInt32BE(bytes.length, 26 + 2 + 4);
      return block;
    };
    const prefix = Buffer.from('UNICODE\0', 'latin1');
    expect(readUserComment(comment(Buffer.concat([prefix, Buffer.from(text, 'utf16le')])))).toBe(text);
    expect(readUserComment(comment(Buffer.concat([prefix, Buffer.from(`\ufeff日本`, 'utf16le')])))).toBe('日本');
    expect(readUserComment(comment(Buffer.from(`ASCII\0\0\0${text}\0\0`)))).toBe(text);
    expect(readUserComment(comment(Buffer.from(text)))).toBe(text);
  });

  it('is read from a block that libexif wrote, little-endian', async () => {
    const file = await sharp(await png())
      .withExif({ IFD2: { UserComment: 'Steps: 4' } })
      .jpeg()
      .toBuffer();
    expect(await readInfotext(file)).toBe('Steps: 4');
  });

  it('never throws on broken blocks', () => {
    const block = writeUserComment(text);
    for (let length = 0; length < block.length; length++) expect(readUserComment(block.subarray(0, length))).toBeNull();
    for (let at = 0; at < 44; at++) {
      for (const value of [0, 1, 0x7f, 0xff]) {
        const damaged = Buffer.from(block);
        damaged[at] = value;
        expect(() => readUserComment(damaged)).not.toThrowError();
      }
    }
  });
});

describe('readInfotext', () => {
  it('gives null for pictures without, and refuses what is no picture', async () => {
    expect(await readInfotext(await png())).toBeNull();
    await expect(readInfotext(Buffer.from('no picture'))).rejects.toMatchObject({
      code: 'ERR_IMAGE_INVALID',
      field: 'image',
    });
    await expect(readInfotext('no-such-file.png')).rejects.toMatchObject({ code: 'ERR_IMAGE_INVALID' });
    await expect(readInfotext(await png(), { signal: AbortSignal.abort('stop') })).rejects.toBe('stop');
  });
});
