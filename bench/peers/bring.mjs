#!/usr/bin/env node
/** `node bench/peers/bring.mjs diffusers|openvino-python FOLDER`: a virtual environment with a Python peer's pinned packages. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const peers = ['diffusers', 'openvino-python'];
const [peer, folder] = process.argv.slice(2);
if (!peers.includes(peer) || folder === undefined) {
  process.stderr.write(`usage: node bench/peers/bring.mjs ${peers.join('|')} FOLDER\n`);
  process.exit(2);
}

function run(file, ...args) {
  const { status, error } = spawnSync(file, args, { stdio: ['ignore', 'inherit', 'inherit'] });
  if (status === 0) return;
  process.stderr.write(`bring: ${file} ${args.join(' ')}: ${error?.message ?? `ended with ${status}`}\n`);
  process.exit(1);
}

const windows = process.platform === 'win32';
const python = join(resolve(folder), ...(windows ? ['Scripts', 'python.exe'] : ['bin', 'python']));
if (!existsSync(python)) run(windows ? 'python' : 'python3', '-m', 'venv', resolve(folder));
const install = ['-m', 'pip', 'install', '--disable-pip-version-check', '--require-hashes'];
run(python, ...install, '-r', join(here, `requirements-${peer}.txt`));
run(python, ...install, '--no-deps', '-r', join(here, 'requirements-vocabulary.txt'));
process.stdout.write(`${python}\n`);
