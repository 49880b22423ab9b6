import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { buildDir, root } from './paths.mjs';

/** Every file below `paths` (files or folders, relative to the package), sorted, as paths relative to the package. */
export function listFiles(paths, keep = () => true) {
  const found = [];
  const visit = (path) => {
    if (!existsSync(path) || !keep(relative(root, path))) return;
    if (statSync(path).isDirectory()) for (const name of readdirSync(path)) visit(join(path, name));
    else found.push(relative(root, path).replaceAll('\\', '/'));
  };
  for (const path of paths) visit(join(root, path));
  return found.sort();
}

/** SHA-256 over names and contents of files, and over `extra`. */
export function fingerprint(files, extra = {}) {
  const hash = createHash('sha256').update(JSON.stringify(extra));
  for (const file of files) {
    const content = readFileSync(join(root, file));
    hash.update(`\0${file}\0${content.length}\0`).update(content);
  }
  return hash.digest('hex');
}

/** SHA-256 of one file, lower-case hex. */
export function sha256(file) {
  return createHash('sha256').update(readFileSync(file)).digest('hex');
}

/** Writes a file so that a reader, or a run after an interruption, sees all of it or the old one. */
export function writeAtomically(file, text) {
  mkdirSync(dirname(file), { recursive: true });
  const temporary = `${file}.${process.pid}.tmp`;
  writeFileSync(temporary, text);
  renameSync(temporary, file);
}

/** A note that a step is done, kept in the build folder: it holds the fingerprint of what went in. */
export function stamp(name) {
  const file = join(buildDir, 'stamps', `${name}.txt`);
  return {
    matches: (value) => existsSync(file) && readFileSync(file, 'utf8') === value,
    write: (value) => writeAtomically(file, value),
  };
}
