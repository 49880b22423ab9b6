#!/usr/bin/env node
/** Brings the pinned source of stable-diffusion.cpp into native/vendor (ignored by git); does nothing when it is there. */
import { existsSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { engine } from './pins.mjs';
import { sha256 } from './tools/files.mjs';
import { vendorDir } from './tools/paths.mjs';
import { capture, run } from './tools/run.mjs';
import { Stop, entry, say, since } from './tools/say.mjs';
import { vendored } from './tools/vendored.mjs';

/** Folder of the engine's source, absolute: `SDCPP_SOURCE_DIR` when that is set, else ours, brought when it is missing. */
export async function engineSource() {
  const given = process.env.SDCPP_SOURCE_DIR;
  if (given) return checked(resolve(given));
  const { package: name, version, sha256: pinned } = engine;
  return vendored({ folder: vendorDir, what: 'engine source', pinned, fetching: `${name} ${version} (20 MB)` }, bring);
}

function checked(folder) {
  if (existsSync(join(folder, 'include/stable-diffusion.h'))) return folder;
  throw new Stop(`SDCPP_SOURCE_DIR is "${folder}", which is not a source folder of stable-diffusion.cpp.`);
}

async function bring(work) {
  const archive = await download(work);
  const found = sha256(archive);
  if (found !== engine.sha256) {
    throw new Stop(`the engine's source has SHA-256 ${found}, expected ${engine.sha256}; nothing was unpacked.`);
  }
  const top = archive.slice(work.length + 1).replace(/\.tar\.gz$/, '');
  await run('tar', ['-xzf', archive, '-C', work, `${top}/${engine.source}`]);
  return checked(join(work, top, engine.source));
}

/** Downloads the source distribution through pip, whose own settings (index, proxy, cache) stay in force. */
async function download(folder) {
  const python = findPython();
  if (python === null) throw new Stop('Python 3 with pip is missing: install it, e.g. "apt-get install python3-pip".');
  const args = ['-m', 'pip', 'download', '--no-deps', '--no-binary', ':all:', '--disable-pip-version-check'];
  await run(python, [...args, '-d', folder, `${engine.package}==${engine.version}`]);
  const archive = readdirSync(folder).find((name) => name.endsWith('.tar.gz'));
  if (archive === undefined) throw new Stop(`pip left no .tar.gz of ${engine.package}.`);
  return join(folder, archive);
}

/** The first Python 3 that has pip: `PYTHON`, then python3, then python; null when there is none. */
export function findPython() {
  const candidates = [process.env.PYTHON, 'python3', 'python'].filter(Boolean);
  return candidates.find((name) => capture(name, ['-m', 'pip', '--version'])?.includes('python 3')) ?? null;
}

entry(import.meta.url, async () => {
  const start = performance.now();
  say(`engine source: ${await engineSource()} (${since(start)})`);
});
