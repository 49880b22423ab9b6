/**
 * The one EXIF field that carries infotext, UserComment, in the form A1111 writes through piexif: big-endian TIFF,
 * `UNICODE` and a NUL, then UTF-16BE. Formats: TIFF 6.0 section 2; EXIF 2.3 section 4.6.5 (UserComment).
 */
const exifPointer = 0x8769;
const userComment = 0x9286;
const typeLong = 4;
const typeUndefined = 7;

const tiffHeaderLength = 8;
/** Entry count, one entry, offset of the next directory. */
const directoryLength = 2 + 12 + 4;
const commentStart = tiffHeaderLength + 2 * directoryLength;
const unicodePrefix = Buffer.from('UNICODE\u0000', 'latin1');

/** A TIFF block with nothing but the comment. */
export function writeUserComment(text: string): Buffer {
  const comment = Buffer.concat([unicodePrefix, Buffer.from(text, 'utf16le').swap16()]);
  const head = Buffer.alloc(commentStart);
  head.write('MM', 0, 'latin1');
  head.writeUInt16BE(42, 2);
  head.writeUInt32BE(tiffHeaderLength, 4);
  writeEntry(head, tiffHeaderLength, exifPointer, typeLong, 1, tiffHeaderLength + directoryLength);
  writeEntry(head, tiffHeaderLength + directoryLength, userComment, typeUndefined, comment.length, commentStart);
  return Buffer.concat([head, comment]);
}

function writeEntry(head: Buffer, at: number, tag: number, type: number, count: number, value: number): void {
  head.writeUInt16BE(1, at);
  head.writeUInt16BE(tag, at + 2);
  head.writeUInt16BE(type, at + 4);
  head.writeUInt32BE(count, at + 6);
  head.writeUInt32BE(value, at + 10);
}

/** The comment of an EXIF block (with or without `Exif` and two NULs before it), or null. Never throws. */
export function readUserComment(exif: Uint8Array): string | null {
  let tiff = Buffer.from(exif.buffer, exif.byteOffset, exif.byteLength);
  if (tiff.toString('latin1', 0, 6) === 'Exif\u0000\u0000') tiff = tiff.subarray(6);
  const order = tiff.toString('latin1', 0, 2);
  if ((order !== 'MM' && order !== 'II') || tiff.length < tiffHeaderLength) return null;
  const little = order === 'II';
  const directory = findEntry(tiff, u32(tiff, 4, little), exifPointer, little);
  const entry = directory === null ? null : findEntry(tiff, directory.value, userComment, little);
  if (entry === null || entry.count <= 4 || entry.value + entry.count > tiff.length) return null;
  return decodeComment(tiff.subarray(entry.value, entry.value + entry.count), little);
}

function findEntry(tiff: Buffer, at: number, tag: number, little: boolean): { count: number; value: number } | null {
  if (at + 2 > tiff.length) return null;
  const entries = u16(tiff, at, little);
  for (let i = 0; i < entries; i++) {
    const entry = at + 2 + 12 * i;
    if (entry + 12 > tiff.length) return null;
    if (u16(tiff, entry, little) === tag)
      return { count: u32(tiff, entry + 4, little), value: u32(tiff, entry + 8, little) };
  }
  return null;
}

function u16(tiff: Buffer, at: number, little: boolean): number {
  return little ? tiff.readUInt16LE(at) : tiff.readUInt16BE(at);
}

function u32(tiff: Buffer, at: number, little: boolean): number {
  return little ? tiff.readUInt32LE(at) : tiff.readUInt32BE(at);
}

function decodeComment(comment: Buffer, little: boolean): string {
  const charset = comment.toString('latin1', 0, 8);
  const body = comment.subarray(8);
  if (charset.startsWith('UNICODE')) return decodeUtf16(body, little);
  if (charset.startsWith('ASCII\u0000') || charset === '\u0000'.repeat(8)) return trimNul(body.toString('utf8'));
  return trimNul(comment.toString('utf8'));
}

/**
 * piexif writes big-endian whatever the block's own order is, exiftool follows the block. Without a byte order mark
 * the order that shows ASCII letters wins: infotext always has some.
 */
function decodeUtf16(body: Buffer, little: boolean): string {
  const even = Buffer.from(body.subarray(0, body.length & ~1));
  const asLittle = even.toString('utf16le');
  const asBig = even.swap16().toString('utf16le');
  if (asBig.startsWith('\ufeff')) return trimNul(asBig.slice(1));
  if (asLittle.startsWith('\ufeff')) return trimNul(asLittle.slice(1));
  const letters = (text: string): number => text.replace(/[^\u0020-\u007e\n]/g, '').length;
  const [big, small] = [letters(asBig), letters(asLittle)];
  return trimNul(big === small ? (little ? asLittle : asBig) : big > small ? asBig : asLittle);
}

function trimNul(text: string): string {
  let end = text.length;
  while (end > 0 && text.charCodeAt(end - 1) === 0) end--;
  return text.slice(0, end);
}
