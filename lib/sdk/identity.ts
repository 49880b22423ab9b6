import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileSha256, fileStamp, modelFileFields, readModelHeaders } from '../model/index.js';
import type { NativeModelFiles } from '../native/index.js';
import type { ComponentIdentity } from './types.js';

/**
 * SHA-256 of every file of a model. Hashed once, then remembered by path, size and time; a checkpoint of several GB
 * takes seconds the first time, which is why loading does not wait for it.
 */
export async function identifyFiles(files: NativeModelFiles, signal?: AbortSignal): Promise<ComponentIdentity[]> {
  const identities: ComponentIdentity[] = [];
  for (const role of modelFileFields) {
    const path = files[role];
    if (path === undefined) continue;
    for (const file of await filesOf(path, role, signal)) {
      const sha256 = await fileSha256(file, { signal });
      identities.push({ role, path: file, bytes: (await stat(file)).size, sha256 });
    }
  }
  return identities;
}

/** A checkpoint may be a diffusers directory, whose files all count. */
async function filesOf(path: string, role: string, signal?: AbortSignal): Promise<string[]> {
  if (!(await stat(path)).isDirectory()) return [path];
  return (await readModelHeaders(path, role, signal)).map(({ header }) => header.path);
}

/** Stamps of all files of a model, by absolute path: they change when a file is replaced. */
export async function fileStamps(files: NativeModelFiles): Promise<Map<string, string>> {
  const paths = Object.values(files) as string[];
  const stamps = await Promise.all(paths.map(async (path) => Promise.all((await partsOf(path)).map(stamped))));
  return new Map(stamps.flat());
}

/** The file, or the weights of a diffusers directory. */
async function partsOf(path: string): Promise<string[]> {
  const isDirectory = await stat(path).then(
    (info) => info.isDirectory(),
    () => false,
  );
  if (!isDirectory) return [path];
  const names = await readdir(path, { recursive: true });
  return names.filter((name) => name.endsWith('.safetensors')).map((name) => join(path, name));
}

/** A file that has gone since is the load's to report. */
async function stamped(file: string): Promise<readonly [file: string, stamp: string]> {
  return [file, await fileStamp(file).catch(() => '')];
}
