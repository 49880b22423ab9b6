import { posix, win32 } from 'node:path';
import { invalidOption } from '../errors/index.js';

/**
 * Where the files are that a text knows by name: paths by name, or a function that is asked for one. Names are those of
 * files without directory, ending and A1111's `[hash]`.
 */
export type InfotextFiles = Readonly<Record<string, string>> | ((name: string) => string | undefined);

/** Gives undefined in place of what cannot be read, or throws. */
export type Attempt = <T>(read: () => T) => T | undefined;

const ending = /\.(?:safetensors|sft|ckpt|gguf|pth?|bin|onnx)$/i;
const shortHash = /\s*\[[0-9a-f]{6,64}\]$/i;

/** How a text names a file: as A1111 does, so that nobody's directories are published with a picture. */
export function fileName(text: string): string {
  return win32.basename(text.replace(shortHash, '')).replace(ending, '');
}

/** The file of a name, where somebody knows it; texts of others may have a whole path. */
export function knownFile(text: string, files: InfotextFiles | undefined): string | undefined {
  if (posix.isAbsolute(text) || win32.isAbsolute(text)) return text;
  if (files === undefined) return undefined;
  const name = fileName(text);
  if (typeof files === 'function') return files(name);
  return Object.entries(files).find(([key]) => fileName(key) === name)?.[1];
}

/**
 * The file that a text names.
 * @throws DiffusionError `ERR_INVALID_OPTION` naming `infotext.<key>` when nobody knows where it is.
 */
export function namedFile(text: string, key: string, files: InfotextFiles | undefined): string {
  const found = knownFile(text, files);
  if (found !== undefined) return found;
  const name = JSON.stringify(fileName(text));
  const hint = `Say where it is: infotextToRequest(infotext, { files: { ${name}: '/path/of/it.safetensors' } }).`;
  throw invalidOption(`infotext.${key}`, text, 'the name of a file that the option "files" knows', hint);
}

const [sameModules, ownModules] = ['Use same choices', 'Built-in'];

export type InfotextModules = 'same' | 'built-in' | readonly string[];

/** Forge's pairs for the VAE and the text encoders of a checkpoint: `Hires Module 1`, `Hires Module 2`, … */
export function modulePairs(prefix: string, modules: InfotextModules | undefined): [string, string][] {
  const names =
    modules === 'same' ? [sameModules] : modules === 'built-in' ? [ownModules] : (modules ?? []).map(fileName);
  return names.map((name, index) => [`${prefix} ${String(index + 1)}`, name]);
}

export function readModules(
  parameters: Readonly<Record<string, string>>,
  prefix: string,
  files: InfotextFiles | undefined,
  attempt: Attempt,
): InfotextModules | undefined {
  const found = Object.entries(parameters)
    .map(([key, value]) => ({ key, index: moduleIndex(key, prefix), value }))
    .filter(({ index }) => index > 0)
    .sort((a, b) => a.index - b.index);
  if (found.length === 0) return undefined;
  // Forge: it wins over whatever is chosen with it.
  if (found.some(({ value }) => value === sameModules)) return 'same';
  if (found.length === 1 && found[0]?.value === ownModules) return 'built-in';
  return attempt(() => found.map(({ key, value }) => namedFile(value, key, files)));
}

/** From 1; 0: the key is of something else. */
export function moduleIndex(key: string, prefix: string): number {
  const number = key.startsWith(`${prefix} `) ? key.slice(prefix.length + 1) : '';
  return /^[1-9]\d*$/.test(number) ? Number(number) : 0;
}
