import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { dirname, extname, resolve } from 'node:path';
import { type DiffusionError, invalidOption } from '../errors/index.js';

const extensions: readonly string[] = ['.png', '.webp', '.jpg', '.jpeg'];

/** Absolute paths of a batch: `out.png` alone, or `out-1.png`, `out-2.png`, … */
export function outputNames(output: string, count: number): string[] {
  const path = resolve(output);
  if (count === 1) return [path];
  const extension = extname(path);
  const base = path.slice(0, path.length - extension.length);
  return Array.from({ length: count }, (_, i) => `${base}-${String(i + 1)}${extension}`);
}

/**
 * Looks at the output before work is put into it: the extension names a format, the folder is there and may be written.
 * @throws DiffusionError `ERR_INVALID_OPTION` naming `--output`.
 */
export async function checkOutput(output: string): Promise<void> {
  if (!extensions.includes(extname(output).toLowerCase())) {
    throw invalidOption('--output', output, `a file name that ends in ${extensions.join(', ')}`);
  }
  await checkFolder(output, '--output');
}

/**
 * Looks at a file before work is put into it: its folder is there and may be written.
 * @throws DiffusionError `ERR_INVALID_OPTION` naming `field`.
 */
export async function checkFolder(path: string, field: string): Promise<void> {
  const wrong = (allowed: string, hint?: string): DiffusionError => invalidOption(field, path, allowed, hint);
  const folder = dirname(resolve(path));
  const found = await stat(folder).catch(() => undefined);
  if (found?.isDirectory() !== true) throw wrong('a file in a folder that exists', `Create ${folder} first.`);
  const writable = await access(folder, constants.W_OK).then(
    () => true,
    () => false,
  );
  if (!writable) throw wrong('a file in a folder that this user may write', `Not so: ${folder}.`);
  const there = await stat(path).catch(() => undefined);
  if (there?.isDirectory() === true) throw wrong('a file', 'This is a folder.');
}
