#!/usr/bin/env node
/**
 * Brings the pinned OpenVINO package into native/vendor/openvino (ignored by git); does nothing when it is there. Of the
 * wheel it keeps what the backend module is built from and runs with: include, cmake, libs, and the licences.
 */
import { mkdirSync, readdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { findPython } from './engine-source.mjs';
import { openvino } from './pins.mjs';
import { sha256 } from './tools/files.mjs';
import { openvinoDir } from './tools/paths.mjs';
import { run } from './tools/run.mjs';
import { Stop, entry, say, since } from './tools/say.mjs';
import { vendored } from './tools/vendored.mjs';

/** Folder with `include`, `cmake` and `libs`, absolute; brought when it is missing. Linux on x86-64 only. */
export async function openvinoPackage() {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw new Stop('the OpenVINO backend is built on Linux x86-64 only: leave -DND_OPENVINO=ON away.');
  }
  const { package: name, version, sha256: pinned } = openvino;
  const about = { what: 'OpenVINO package', fetching: `${name} ${version} (60 MB)` };
  return vendored({ folder: openvinoDir, pinned, ...about }, bring);
}

async function bring(work) {
  const python = findPython();
  if (python === null) throw new Stop('Python 3 with pip is missing: install it, e.g. "apt-get install python3-pip".');
  const wheel = await download(python, work);
  const found = sha256(wheel);
  if (found !== openvino.sha256) {
    throw new Stop(`the OpenVINO package has SHA-256 ${found}, expected ${openvino.sha256}; nothing was unpacked.`);
  }
  await run(python, ['-m', 'zipfile', '-e', wheel, join(work, 'wheel')]);
  const kept = join(work, 'kept');
  mkdirSync(kept);
  for (const part of ['include', 'cmake', 'libs']) renameSync(join(work, 'wheel/openvino', part), join(kept, part));
  renameSync(join(work, `wheel/${openvino.package}-${openvino.version}.dist-info/licenses`), join(kept, 'licenses'));
  return kept;
}

/** Downloads the wheel through pip, whose own settings (index, proxy, cache) stay in force. */
async function download(python, work) {
  const abi = `cp${openvino.python.replace('.', '')}`;
  const wheel = ['--only-binary', ':all:', '--platform', openvino.platform, '--implementation', 'cp', '--abi', abi];
  const args = ['-m', 'pip', 'download', '--no-deps', '--disable-pip-version-check', ...wheel];
  await run(python, [
    ...args,
    '--python-version',
    openvino.python,
    '-d',
    work,
    `${openvino.package}==${openvino.version}`,
  ]);
  const file = readdirSync(work).find((name) => name.endsWith('.whl'));
  if (file === undefined) throw new Stop(`pip left no wheel of ${openvino.package}.`);
  return join(work, file);
}

entry(import.meta.url, async () => {
  const start = performance.now();
  say(`OpenVINO package: ${await openvinoPackage()} (${since(start)})`);
});
