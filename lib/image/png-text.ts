import { inflateSync } from 'node:zlib';
import { crc32 } from './crc32.js';

/** PNG specification (third edition), 5.2: signature; 11.3.3: tEXt, zTXt and iTXt. */
const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);

/** Bytes up to the end of IHDR: signature, then length, type, 13 bytes of data and CRC. */
const headerLength = signature.length + 4 + 4 + 13 + 4;

/** Largest text that a compressed chunk may unpack to, bytes. */
const maxTextLength = 16 * 1024 * 1024;

export function isPng(bytes: Uint8Array): boolean {
  return bytes.length >= headerLength && signature.equals(bytes.subarray(0, signature.length));
}

/**
 * A copy of a PNG with a text chunk after its header: tEXt when Latin-1 can carry the text, else iTXt in UTF-8,
 * which is what Pillow writes for A1111.
 */
export function insertPngText(png: Uint8Array, keyword: string, text: string): Buffer {
  const latin1 = !/[\u0100-\uffff]/.test(text);
  const chunk = latin1
    ? pngChunk('tEXt', Buffer.from(`${keyword}\u0000${text}`, 'latin1'))
    : // Keyword, NUL, compression flag and method 0, empty language tag, empty translated keyword.
      pngChunk(
        'iTXt',
        Buffer.concat([Buffer.from(`${keyword}\u0000\u0000\u0000\u0000\u0000`, 'latin1'), Buffer.from(text, 'utf8')]),
      );
  return Buffer.concat([png.subarray(0, headerLength), chunk, png.subarray(headerLength)]);
}

function pngChunk(type: string, data: Uint8Array): Buffer {
  const chunk = Buffer.alloc(12 + data.length);
  chunk.writeUInt32BE(data.length, 0);
  chunk.write(type, 4, 'latin1');
  chunk.set(data, 8);
  chunk.writeUInt32BE(crc32(chunk.subarray(4, 8 + data.length)), 8 + data.length);
  return chunk;
}

/** The text under a keyword in a PNG, or null. Chunks that are broken or cut off are passed over. */
export function readPngText(png: Uint8Array, keyword: string): string | null {
  const bytes = Buffer.from(png.buffer, png.byteOffset, png.byteLength);
  for (let at = signature.length; at + 12 <= bytes.length; ) {
    const length = bytes.readUInt32BE(at);
    const type = bytes.toString('latin1', at + 4, at + 8);
    const end = at + 8 + length;
    if (type === 'IEND' || end + 4 > bytes.length) return null;
    if (type === 'tEXt' || type === 'zTXt' || type === 'iTXt') {
      const whole = bytes.readUInt32BE(end) === crc32(bytes.subarray(at + 4, end));
      const text = whole ? decodeText(type, bytes.subarray(at + 8, end), keyword) : null;
      if (text !== null) return text;
    }
    at = end + 4;
  }
  return null;
}

function decodeText(type: 'tEXt' | 'zTXt' | 'iTXt', data: Buffer, keyword: string): string | null {
  const nul = data.indexOf(0);
  if (nul < 0 || data.toString('latin1', 0, nul) !== keyword) return null;
  const body = data.subarray(nul + 1);
  if (type === 'tEXt') return body.toString('latin1');
  if (type === 'zTXt') return inflated(body.subarray(1))?.toString('latin1') ?? null;
  const language = body.indexOf(0, 2);
  const translated = language < 0 ? -1 : body.indexOf(0, language + 1);
  if (translated < 0) return null;
  const text = body.subarray(translated + 1);
  return (body[0] === 1 ? inflated(text) : text)?.toString('utf8') ?? null;
}

function inflated(data: Uint8Array): Buffer | null {
  try {
    return inflateSync(data, { maxOutputLength: maxTextLength });
  } catch {
    return null;
  }
}
