#!/usr/bin/env node
/**
 * Brings the pinned OpenVINO package into native/vendor/openvino (ignored by git); does nothing when it is there. Of the
 * wheel it keeps what the backend module is built from and runs with: include, cmake, libs, and the licences.
 */
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { findPython } from './engine-source.mjs';
import { openvino } from './pins.mjs';
import { sha256 } from './tools/files.mjs';
import { locked } from './tools/lock.mjs';
import { openvinoDir } from './tools/paths.mjs';
import { run } from './tools/run.mjs';
import { Stop, entry, say, since } from './tools/say.mjs';

const stampFile = join(openvinoDir, '.node-diffusion-package');
const work = `${openvinoDir}.part`;

/** Folder with `include`, `cmake` and `libs`, absolute; brought when it is missing. Linux on x86-64 only. */
export async function openvinoPackage() {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw new Stop('the OpenVINO backend is built on Linux x86-64 only: leave -DND_OPENVINO=ON away.');
  }
  if (present()) return openvinoDir;
  await locked(`${openvinoDir}.lock`, 'OpenVINO package', async () => {
    try {
      if (!present()) await bring();
    } finally {
      rmSync(work, { recursive: true, force: true });
    }
  });
  return openvinoDir;
}

function present() {
  return existsSync(stampFile) && readFileSync(stampFile, 'utf8') === openvino.sha256;
}

async function bring() {
  const start = performance.now();
  say(`OpenVINO package: fetching ${openvino.package} ${openvino.version} (60 MB)`);
  rmSync(work, { recursive: true, force: true });
  mkdirSync(work, { recursive: true });
  const python = findPython();
  if (python === null) throw new Stop('Python 3 with pip is missing: install it, e.g. "apt-get install python3-pip".');
  const wheel = await download(python);
  const found = sha256(wheel);
  if (found !== openvino.sha256) {
    throw new Stop(`the OpenVINO package has SHA-256 ${found}, expected ${openvino.sha256}; nothing was unpacked.`);
  }
  await run(python, ['-m', 'zipfile', '-e', wheel, join(work, 'wheel')]);
  const kept = join(work, 'kept');
  mkdirSync(kept);
  for (const part of ['include', 'cmake', 'libs']) renameSync(join(work, 'wheel/openvino', part), join(kept, part));
  renameSync(join(work, `wheel/${openvino.package}-${openvino.version}.dist-info/licenses`), join(kept, 'licenses'));
  writeFileSync(join(kept, '.node-diffusion-package'), openvino.sha256);
  rmSync(openvinoDir, { recursive: true, force: true });
  mkdirSync(dirname(openvinoDir), { recursive: true });
  renameSync(kept, openvinoDir);
  say(`OpenVINO package: ready in native/vendor/openvino (${since(start)})`);
}

/** Downloads the wheel through pip, whose own settings (index, proxy, cache) stay in force. */
async function download(python) {
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
