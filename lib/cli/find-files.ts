import { readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileName } from '../image/index.js';

/** Files that hold weights, the preferred first where two have one name. */
const endings = ['.safetensors', '.sft', '.gguf', '.ckpt', '.pth', '.pt', '.bin', '.onnx'];

/**
 * Finds the files that a picture's infotext names, in folders and not below them; the first folder that has one wins.
 * Names are without directory and ending. A folder that cannot be read has none.
 */
export function filesIn(folders: readonly string[]): (name: string) => string | undefined {
  const listed = new Map<string, readonly string[]>();
  const list = (folder: string): readonly string[] => {
    let names = listed.get(folder);
    if (names === undefined) {
      try {
        names = readdirSync(folder);
      } catch {
        names = [];
      }
      listed.set(folder, names);
    }
    return names;
  };
  return (name) => {
    for (const folder of folders) {
      const names = list(folder);
      const found = endings
        .map((ending) => names.find((file) => file.toLowerCase().endsWith(ending) && fileName(file) === name))
        .find((file) => file !== undefined);
      if (found !== undefined) return join(folder, found);
    }
    return undefined;
  };
}

/** Folders of files that were named on the command line, in the order of the options, each once. */
export function foldersOf(fields: Readonly<Record<string, unknown>>): string[] {
  const folders = new Set<string>();
  const visit = (value: unknown): void => {
    if (typeof value === 'string' && endings.some((ending) => value.toLowerCase().endsWith(ending)))
      folders.add(dirname(value));
    else if (typeof value === 'object' && value !== null) Object.values(value).forEach(visit);
  };
  visit(fields);
  return [...folders];
}
