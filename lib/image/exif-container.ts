import { invalidOption } from '../errors/index.js';

/** Longest payload of a JPEG segment: its length field has 16 bits and counts itself. */
const maxSegment = 0xffff - 2;

/**
 * A copy of a JPEG with an EXIF segment (APP1) after the JFIF segment, or first when there is none.
 * @throws DiffusionError `ERR_INVALID_OPTION` when the block is larger than a segment can be.
 */
export function insertJpegExif(jpeg: Uint8Array, tiff: Uint8Array): Buffer {
  const payload = Buffer.concat([Buffer.from('Exif\u0000\u0000', 'latin1'), tiff]);
  if (payload.length > maxSegment) {
    const hint = 'Save as PNG or WebP, or pass infotext: false.';
    throw invalidOption(
      'infotext',
      `${String(payload.length)} bytes`,
      `at most ${String(maxSegment)} bytes of EXIF in a JPEG`,
      hint,
    );
  }
  const bytes = Buffer.from(jpeg.buffer, jpeg.byteOffset, jpeg.byteLength);
  const jfif = bytes.readUInt16BE(2) === 0xffe0;
  const at = jfif ? 4 + bytes.readUInt16BE(4) : 2;
  const head = Buffer.from([0xff, 0xe1, 0, 0]);
  head.writeUInt16BE(payload.length + 2, 2);
  return Buffer.concat([bytes.subarray(0, at), head, payload, bytes.subarray(at)]);
}

/** Flags of the VP8X chunk; WebP container specification, "Extended File Format". */
const hasExif = 0x08;
const hasAlpha = 0x10;

/** A copy of a WebP in the extended format, with an EXIF chunk at its end. */
export function insertWebpExif(webp: Uint8Array, tiff: Uint8Array, width: number, height: number): Buffer {
  const bytes = Buffer.from(webp.buffer, webp.byteOffset, webp.byteLength);
  let body = bytes.subarray(12, 8 + bytes.readUInt32LE(4));
  let extended = Buffer.alloc(10);
  if (body.toString('latin1', 0, 4) === 'VP8X') {
    extended = Buffer.from(body.subarray(8, 18));
    body = body.subarray(18);
  } else {
    extended[0] = losslessAlpha(body) ? hasAlpha : 0;
    extended.writeUIntLE(width - 1, 4, 3);
    extended.writeUIntLE(height - 1, 7, 3);
  }
  extended[0] = (extended[0] ?? 0) | hasExif;
  const content = Buffer.concat([
    Buffer.from('WEBP', 'latin1'),
    riffChunk('VP8X', extended),
    body,
    riffChunk('EXIF', tiff),
  ]);
  return riffChunk('RIFF', content);
}

/** Bit 28 of the lossless bitstream's header, after its signature byte: alpha is used. */
function losslessAlpha(body: Buffer): boolean {
  return body.toString('latin1', 0, 4) === 'VP8L' && (body.readUInt32LE(9) & 0x10000000) !== 0;
}

function riffChunk(type: string, data: Uint8Array): Buffer {
  const chunk = Buffer.alloc(8 + data.length + (data.length & 1));
  chunk.write(type, 0, 'latin1');
  chunk.writeUInt32LE(data.length, 4);
  chunk.set(data, 8);
  return chunk;
}
