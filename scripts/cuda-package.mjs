#!/usr/bin/env node
/**
 * Brings the pinned CUDA toolkit into native/vendor/cuda (ignored by git); does nothing when it is there. Its parts are
 * Python packages (scripts/pins.mjs), which unpack to one folder; what FindCUDAToolkit looks for beyond them is linked.
 */
import { chmodSync, existsSync, mkdirSync, readdirSync, renameSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { findPython } from './engine-source.mjs';
import { cuda } from './pins.mjs';
import { sha256 } from './tools/files.mjs';
import { cudaDir } from './tools/paths.mjs';
import { run } from './tools/run.mjs';
import { Stop, entry, say, since } from './tools/say.mjs';
import { vendored } from './tools/vendored.mjs';

/** Root of the toolkit, absolute; brought when it is missing. Linux on x86-64 only. */
export async function cudaPackage() {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw new Stop('the CUDA backend is built on Linux x86-64 only.');
  }
  const about = { what: 'CUDA packages', fetching: 'compiler, runtime and cuBLAS (530 MB)' };
  return vendored({ folder: cudaDir, pinned: JSON.stringify(cuda), ...about }, bring);
}

async function bring(work) {
  const wheels = join(work, 'wheels');
  mkdirSync(wheels);
  const python = findPython();
  if (python === null) throw new Stop('Python 3 with pip is missing: install it, e.g. "apt-get install python3-pip".');
  await download(python, wheels);
  const unpacked = join(work, 'unpacked');
  for (const name of readdirSync(wheels)) {
    check(wheels, name);
    await run(python, ['-m', 'zipfile', '-e', join(wheels, name), unpacked]);
  }
  const kept = join(unpacked, 'nvidia/cu13');
  complete(kept);
  mkdirSync(join(kept, 'licenses'));
  for (const name of readdirSync(unpacked).filter((entry) => entry.endsWith('.dist-info'))) {
    renameSync(join(unpacked, name, 'licenses'), join(kept, 'licenses', name.replace('.dist-info', '')));
  }
  return kept;
}

/** Downloads the wheels through pip, whose own settings (index, proxy, cache) stay in force. */
async function download(python, folder) {
  const older = ['manylinux2014_x86_64', 'manylinux2010_x86_64'];
  const platforms = [cuda.platform, ...older].flatMap((name) => ['--platform', name]);
  const any = ['--only-binary', ':all:', '--python-version', '3.11', '--implementation', 'py', '--abi', 'none'];
  const packages = Object.entries(cuda.wheels).map(([name, { version }]) => `${name}==${version}`);
  const args = ['-m', 'pip', 'download', '--no-deps', '--disable-pip-version-check', ...any, ...platforms];
  await run(python, [...args, '-d', folder, ...packages]);
}

function check(folder, name) {
  const pin = cuda.wheels[name.split('-', 1)[0].replaceAll('_', '-')];
  const found = sha256(join(folder, name));
  if (pin === undefined || found !== pin.sha256) {
    throw new Stop(`${name} has SHA-256 ${found}, expected ${pin?.sha256}; nothing was unpacked.`);
  }
}

/** Wheels keep no permissions, hold no links, and name libraries with their version alone. */
function complete(toolkit) {
  for (const folder of ['bin', 'nvvm/bin']) {
    for (const name of readdirSync(join(toolkit, folder), { withFileTypes: true })) {
      if (name.isFile()) chmodSync(join(toolkit, folder, name.name), 0o755);
    }
  }
  const libraries = join(toolkit, 'lib');
  for (const name of readdirSync(libraries)) {
    const [, plain] = /^(.*\.so)\.\d+$/.exec(name) ?? [];
    if (plain !== undefined && !existsSync(join(libraries, plain))) symlinkSync(name, join(libraries, plain));
  }
  symlinkSync('lib', join(toolkit, 'lib64'));
}

entry(import.meta.url, async () => {
  const start = performance.now();
  say(`CUDA packages: ${await cudaPackage()} (${since(start)})`);
});
