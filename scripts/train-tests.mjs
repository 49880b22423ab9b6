#!/usr/bin/env node
/**
 * `npm run test:train [-- --cpu | PYTHON]`: the Python tests of models/nano/train. PYTHON is one that has the packages; without it
 * a virtual environment of the pinned ones is made in .cache (PyTorch with CUDA on Linux: gigabytes). `--cpu` takes PyTorch's
 * CPU wheel instead, which pip must know a place of (PIP_FIND_LINKS or PIP_EXTRA_INDEX_URL).
 */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { engineSource, findPython } from './engine-source.mjs';
import { root } from './tools/paths.mjs';
import { capture, run } from './tools/run.mjs';
import { Stop, entry, say, since } from './tools/say.mjs';

const nano = join(root, 'models/nano');

/** A Python with the packages of a lock file beside the training; pip does nothing where they are there. */
async function environment(lock) {
  const folder = join(root, '.cache', lock);
  const windows = process.platform === 'win32';
  const python = join(folder, ...(windows ? ['Scripts', 'python.exe'] : ['bin', 'python']));
  if (!existsSync(python)) {
    const own = findPython();
    if (own === null) throw new Stop('Python 3 with pip is missing: install it, e.g. "apt-get install python3-venv".');
    await run(own, ['-m', 'venv', folder]);
  }
  const install = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--require-hashes'];
  await run(python, [...install, '-r', join(nano, 'train', `${lock}.txt`)]);
  return python;
}

entry(import.meta.url, async (args) => {
  const [argument] = args;
  const given = argument !== undefined && existsSync(argument) ? resolve(argument) : argument;
  const cpu = given === '--cpu';
  if (args.length > 1 || (given?.startsWith('-') && !cpu))
    throw new Stop('usage: npm run test:train [-- --cpu | PYTHON]');
  const named = given !== undefined && !cpu;
  if (named && capture(given, ['-c', 'import diffusers']) === null) {
    throw new Stop(`"${given}" is no Python with the packages of models/nano/train/requirements.txt.`);
  }
  const engine = await engineSource();
  const python = named ? given : await environment(cpu ? 'requirements-cpu' : 'requirements');
  const start = performance.now();
  const env = { ...process.env, SDCPP_SOURCE_DIR: engine };
  const code = await run(python, ['-m', 'train.tests'], { allowFailure: true, cwd: nano, env });
  say(`tests of the training: ${code === 0 ? 'passed' : 'FAILED'} (${since(start)})`);
  return code;
});
