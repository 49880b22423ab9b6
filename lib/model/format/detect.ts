import { corrupt, unsupported } from './errors.js';
import type { Source } from './source.js';

/** How the bytes at the front of a file say it is read. */
export type Container = 'gguf' | 'safetensors' | 'torch-zip' | 'torch-legacy';

const headBytes = 512;

interface Foreign {
  readonly what: string;
  readonly hint: string;
  matches(head: Buffer): boolean;
}

const giveModel = 'Give the path of a model file.';
const unpack = 'Unpack it and give the model file inside.';

function starts(...bytes: number[]): (head: Buffer) => boolean {
  const wanted = Buffer.from(bytes);
  return (head) => head.subarray(0, wanted.length).equals(wanted);
}

function says(text: string, at = 0): (head: Buffer) => boolean {
  return (head) => head.toString('latin1', at, at + text.length) === text;
}

/** Well-known files of other kinds, by their first bytes. */
const foreign: readonly Foreign[] = [
  {
    what: 'a Git LFS pointer, a small text that stands for the real file',
    hint: 'Run "git lfs pull" where it came from, or download the file itself.',
    matches: says('version https://git-lfs'),
  },
  {
    what: 'an HTML page, perhaps the error page of a download',
    hint: 'Download the model file itself; a login or a direct link may be needed.',
    matches: (head) => /^\s*<(?:!doctype|html|head)/i.test(head.toString('latin1')),
  },
  { what: 'a PNG image', hint: giveModel, matches: starts(0x89, 0x50, 0x4e, 0x47) },
  { what: 'a JPEG image', hint: giveModel, matches: starts(0xff, 0xd8, 0xff) },
  { what: 'a GIF image', hint: giveModel, matches: says('GIF8') },
  { what: 'a WebP image', hint: giveModel, matches: (head) => says('RIFF')(head) && says('WEBP', 8)(head) },
  { what: 'a PDF document', hint: giveModel, matches: says('%PDF') },
  { what: 'a gzip archive', hint: unpack, matches: starts(0x1f, 0x8b) },
  { what: 'a bzip2 archive', hint: unpack, matches: says('BZh') },
  { what: 'an xz archive', hint: unpack, matches: starts(0xfd, 0x37, 0x7a, 0x58, 0x5a) },
  { what: 'a Zstandard archive', hint: unpack, matches: starts(0x28, 0xb5, 0x2f, 0xfd) },
  { what: 'a 7z archive', hint: unpack, matches: starts(0x37, 0x7a, 0xbc, 0xaf) },
  { what: 'a RAR archive', hint: unpack, matches: says('Rar!') },
  {
    what: 'a tar archive, perhaps a PyTorch file from before 2017',
    hint: 'Unpack it, or save the weights again as safetensors.',
    matches: says('ustar', 257),
  },
  {
    what: 'an HDF5 file (Keras)',
    hint: 'Take the safetensors or GGUF file of the model.',
    matches: starts(0x89, 0x48, 0x44, 0x46),
  },
  { what: 'a numpy array file', hint: giveModel, matches: starts(0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59) },
  {
    what: 'a GGML file from before GGUF',
    hint: 'Take the GGUF file of the model, or convert it again.',
    matches: (head) => ['lmgg', 'fmgg', 'tjgg', 'algg'].includes(head.toString('latin1', 0, 4)),
  },
  { what: 'a big-endian GGUF file', hint: 'Take the little-endian file.', matches: says('FUGG') },
  {
    what: 'an executable file',
    hint: giveModel,
    matches: (head) => starts(0x7f, 0x45, 0x4c, 0x46)(head) || says('MZ')(head),
  },
  {
    what: 'a TensorFlow Lite model',
    hint: 'Take the safetensors or GGUF file of the model.',
    matches: says('TFL3', 4),
  },
];

/** UTF-8 without control characters, but for white space; the last character may be cut. */
function isText(head: Buffer): boolean {
  const control = head.some((byte) => byte < 0x09 || (byte > 0x0d && byte < 0x20));
  return !control && (head.toString('utf8').match(/\ufffd/g) ?? []).length <= 1;
}

function zipLike(head: Buffer): boolean {
  return starts(0x50, 0x4b, 0x03, 0x04)(head) || starts(0x50, 0x4b, 0x05, 0x06)(head);
}

/** Recognises the container by content, or says what the file looks like instead. */
export async function detect(source: Source): Promise<Container> {
  const head = await source.read(0, Math.min(headBytes, source.size), 'its first bytes');
  if (head.length < 9) throw corrupt(source, `it has only ${String(head.length)} bytes`, head.length);
  // First, because the length in front of a safetensors header may look like the signature of something else.
  const brace = head[8] === 0x7b || head[8] === 0x20;
  if (brace && head.subarray(4, 8).every((byte) => byte === 0)) return 'safetensors';
  if (says('GGUF')(head)) return 'gguf';
  if (zipLike(head)) return 'torch-zip';
  const other = foreign.find((kind) => kind.matches(head));
  if (other !== undefined) throw unsupported(source, `it looks like ${other.what}`, other.hint);
  if (head[0] === 0x80 && (head[1] ?? 0) >= 2 && (head[1] ?? 0) <= 5) return 'torch-legacy';
  if (isText(head)) {
    const json = /^\s*[[{]/.test(head.toString('latin1'));
    throw unsupported(
      source,
      `it looks like ${json ? 'JSON text' : 'a text file'}`,
      json ? 'A config file is not a model; give the file with the weights.' : giveModel,
    );
  }
  // A header with a damaged length; its reader says so.
  if (head[8] === 0x7b) return 'safetensors';
  if (head.every((byte) => byte === 0)) throw corrupt(source, 'it begins with zeros, like an incomplete download', 0);
  throw corrupt(source, `its first bytes (${head.subarray(0, 8).toString('hex')}) are of no known model format`, 0);
}
