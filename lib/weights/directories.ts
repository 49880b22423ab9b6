import { readdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { DiffusionError } from '../errors/index.js';
import { readHeader } from '../model/index.js';
import { nearest } from '../options/index.js';
import { stem } from './loraFile.js';

const extensions = /\.(?:safetensors|ckpt|pt|bin|gguf)$/i;

/** Names of LoRA files in directories, searched through with all below; by name without extension, then by alias. */
export class LoraDirectories {
  readonly directories: readonly string[];
  #files: Map<string, string> | undefined;
  #aliases: Map<string, string[]> | undefined;

  constructor(directories: readonly string[]) {
    this.directories = directories.map((directory) => resolve(directory));
  }

  /**
   * Path of a name. An unknown name makes it look again, once.
   * @throws DiffusionError `ERR_MODEL_NOT_FOUND`; `ERR_INVALID_OPTION` for an alias of several files.
   */
  async find(name: string, field: string, signal: AbortSignal | undefined): Promise<string> {
    for (let turn = 0; turn < 2; turn++) {
      if (this.#files === undefined || turn === 1) await this.#scan();
      signal?.throwIfAborted();
      const path = this.#files?.get(name);
      if (path !== undefined) return path;
    }
    const alias = (await this.#readAliases(signal)).get(name) ?? [];
    if (alias.length === 1 && alias[0] !== undefined) return alias[0];
    throw this.#missing(name, field, alias);
  }

  async #scan(): Promise<void> {
    const files = new Map<string, string>();
    for (const directory of this.directories) {
      const entries = await readdir(directory, { recursive: true }).catch(() => []);
      const paths = entries.filter((entry) => extensions.test(entry)).map((entry) => join(directory, entry));
      for (const path of paths.sort()) if (!files.has(stem(path))) files.set(stem(path), path);
    }
    this.#files = files;
    this.#aliases = undefined;
  }

  async #readAliases(signal: AbortSignal | undefined): Promise<Map<string, string[]>> {
    if (this.#aliases !== undefined) return this.#aliases;
    const aliases = new Map<string, string[]>();
    for (const path of this.#files?.values() ?? []) {
      const header = await readHeader(path, signal === undefined ? {} : { signal }).catch(() => undefined);
      signal?.throwIfAborted();
      const alias = header?.metadata.ss_output_name;
      if (typeof alias === 'string') aliases.set(alias, [...(aliases.get(alias) ?? []), path]);
    }
    this.#aliases = aliases;
    return aliases;
  }

  #missing(name: string, field: string, alias: readonly string[]): DiffusionError {
    const where = this.directories.length === 0 ? 'no directory is named' : `not in ${this.directories.join(', ')}`;
    const close = nearest(name, [...(this.#files?.keys() ?? [])]);
    const suggestion = close === undefined ? '' : ` Did you mean "${close}"?`;
    const hint =
      this.directories.length === 0
        ? 'Give loraDirectories to createRuntime, or the path of the file.'
        : `Check the name.${suggestion}`;
    const what = alias.length > 1 ? `the alias of several files: ${alias.join(', ')}` : where;
    return new DiffusionError('ERR_MODEL_NOT_FOUND', `There is no LoRA "${name}" (${what}). ${hint}`, {
      field,
      given: name,
      hint,
    });
  }
}
