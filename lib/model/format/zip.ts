import { corrupt, quote, unsupported } from './errors.js';
import { breathe, type Source } from './source.js';
import { limits } from './types.js';

/** A file inside the archive, as the central directory has it. */
export interface ZipEntry {
  readonly name: string;
  /** Bytes, stored without compression. */
  readonly size: number;
  /** Position of the local header in the archive. */
  readonly header: number;
  readonly method: number;
  readonly encrypted: boolean;
}

export interface ZipArchive {
  readonly entries: ReadonlyMap<string, ZipEntry>;
  /** Position of the central directory: no entry's bytes may pass it. */
  readonly directory: number;
}

// Record layouts and signatures: PKWARE APPNOTE.TXT, sections 4.3.7 to 4.3.16.
const endSignature = 0x06054b50;
const end64Signature = 0x06064b50;
const locator64Signature = 0x07064b50;
const centralSignature = 0x02014b50;
const localSignature = 0x04034b50;
const endBytes = 22;
const maxComment = 65_535;

interface Directory {
  readonly count: number;
  readonly bytes: number;
  readonly offset: number;
}

function small(source: Source, value: bigint, what: string, at: number): number {
  if (value > BigInt(source.size)) throw corrupt(source, `${what} is ${String(value)}, past the end of the file`, at);
  return Number(value);
}

async function findDirectory(source: Source): Promise<Directory> {
  const tailStart = Math.max(0, source.size - endBytes - maxComment);
  const tail = await source.read(tailStart, source.size - tailStart, 'the end of the ZIP archive');
  let at = tail.length - endBytes;
  while (
    at >= 0 &&
    !(tail.readUInt32LE(at) === endSignature && at + endBytes + tail.readUInt16LE(at + 20) === tail.length)
  )
    at--;
  if (at < 0) throw corrupt(source, 'the end record of the ZIP archive is missing: the file is cut short', source.size);
  const record = tailStart + at;
  const count = tail.readUInt16LE(at + 10);
  const bytes = tail.readUInt32LE(at + 12);
  const offset = tail.readUInt32LE(at + 16);
  const locator = record - 20;
  const locatorThere =
    locator >= 0 && (await source.read(locator, 4, 'the ZIP64 locator')).readUInt32LE(0) === locator64Signature;
  if (!locatorThere) return { count, bytes, offset };
  const position = small(
    source,
    (await source.read(locator, 20, 'the ZIP64 locator')).readBigUInt64LE(8),
    'the position of the ZIP64 end record',
    locator,
  );
  const end64 = await source.read(position, 56, 'the ZIP64 end record');
  if (end64.readUInt32LE(0) !== end64Signature) throw corrupt(source, 'the ZIP64 end record is missing', position);
  return {
    count: small(source, end64.readBigUInt64LE(32), 'the number of ZIP entries', position + 32),
    bytes: small(source, end64.readBigUInt64LE(40), 'the size of the ZIP directory', position + 40),
    offset: small(source, end64.readBigUInt64LE(48), 'the position of the ZIP directory', position + 48),
  };
}

/** Sizes and position of a central record whose 32-bit fields may be moved to the ZIP64 extra field. */
function sizes(
  source: Source,
  record: Buffer,
  extra: Buffer,
  at: number,
): { size: number; packed: number; header: number } {
  const fields = [record.readUInt32LE(24), record.readUInt32LE(20), record.readUInt32LE(42)];
  let zip64: Buffer = Buffer.alloc(0);
  for (let i = 0; i + 4 <= extra.length; ) {
    const length = extra.readUInt16LE(i + 2);
    if (extra.readUInt16LE(i) === 1) zip64 = extra.subarray(i + 4, i + 4 + length);
    i += 4 + length;
  }
  let next = 0;
  const [size = 0, packed = 0, header = 0] = fields.map((field) => {
    if (field !== 0xffffffff) return field;
    if (next + 8 > zip64.length) throw corrupt(source, 'a ZIP entry lacks its ZIP64 sizes', at);
    next += 8;
    return small(source, zip64.readBigUInt64LE(next - 8), 'a size of a ZIP entry', at);
  });
  return { size, packed, header };
}

/** Reads the central directory. Entries are not opened. */
export async function readZip(source: Source): Promise<ZipArchive> {
  const { count, bytes, offset } = await findDirectory(source);
  if (count > limits.zipEntries)
    throw corrupt(
      source,
      `the ZIP archive lists ${String(count)} entries, more than ${String(limits.zipEntries)}`,
      offset,
    );
  if (bytes > limits.zipDirectoryBytes)
    throw corrupt(
      source,
      `the ZIP directory is ${String(bytes)} bytes long, more than ${String(limits.zipDirectoryBytes)}`,
      offset,
    );
  const directory = await source.read(offset, bytes, 'the ZIP directory');
  const entries = new Map<string, ZipEntry>();
  let at = 0;
  for (let i = 0; i < count; i++) {
    if (i % 4096 === 4095) await breathe(source.signal);
    if (at + 46 > directory.length || directory.readUInt32LE(at) !== centralSignature)
      throw corrupt(source, `ZIP entry ${String(i)} of ${String(count)} is damaged`, offset + at);
    const record = directory.subarray(at, at + 46);
    const nameEnd = 46 + record.readUInt16LE(28);
    const extraEnd = nameEnd + record.readUInt16LE(30);
    const end = extraEnd + record.readUInt16LE(32);
    if (at + end > directory.length)
      throw corrupt(source, `ZIP entry ${String(i)} of ${String(count)} is cut short`, offset + at);
    const name = directory.toString('utf8', at + 46, at + nameEnd);
    const { size, packed, header } = sizes(
      source,
      record,
      directory.subarray(at + nameEnd, at + extraEnd),
      offset + at,
    );
    const method = record.readUInt16LE(10);
    if (entries.has(name)) throw corrupt(source, `ZIP entry ${quote(name)} appears twice`, offset + at);
    if (method === 0 && packed !== size)
      throw corrupt(source, `ZIP entry ${quote(name)} is stored but has two sizes`, offset + at);
    entries.set(name, { name, size, header, method, encrypted: (record.readUInt16LE(8) & 1) !== 0 });
    at += end;
  }
  return { entries, directory: offset };
}

/** Position of an entry's bytes, after checking its local header. Only stored entries can be read in place. */
export async function locateEntry(source: Source, archive: ZipArchive, entry: ZipEntry): Promise<number> {
  if (entry.encrypted)
    throw unsupported(source, `ZIP entry ${quote(entry.name)} is encrypted`, 'Save the model without a password.');
  if (entry.method !== 0)
    throw unsupported(
      source,
      `ZIP entry ${quote(entry.name)} is compressed`,
      'torch.save does not compress; save it again with torch.save, or convert it to safetensors.',
    );
  const local = await source.read(entry.header, 30, `the local header of ZIP entry ${quote(entry.name)}`);
  if (local.readUInt32LE(0) !== localSignature)
    throw corrupt(source, `the local header of ZIP entry ${quote(entry.name)} is missing`, entry.header);
  const nameBytes = local.readUInt16LE(26);
  const name = await source.read(entry.header + 30, nameBytes, `the name of ZIP entry ${quote(entry.name)}`);
  if (name.toString('utf8') !== entry.name || local.readUInt16LE(8) !== 0) {
    throw corrupt(
      source,
      `the local header of ZIP entry ${quote(entry.name)} disagrees with the directory`,
      entry.header,
    );
  }
  const start = entry.header + 30 + nameBytes + local.readUInt16LE(28);
  if (start + entry.size > archive.directory)
    throw corrupt(source, `ZIP entry ${quote(entry.name)} runs into the directory`, entry.header);
  return start;
}
