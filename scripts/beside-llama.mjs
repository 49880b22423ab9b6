#!/usr/bin/env node
/**
 * node-diffusion and node-llama-cpp in one process, which each have a ggml of their own: both are installed as packages without
 * scripts, loaded in either order, and work at once. What each makes must be what it makes alone.
 *
 *   node scripts/beside-llama.mjs [--record]
 *
 * node-llama-cpp comes from npm in the versions of scripts/llama/package-lock.json (30 MB), so this is no part of `npm test`.
 * Linux x86-64. `--record` writes docs/measured/beside-llama.json.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { writeTinyLlama } from './llama/tiny.mjs';
import { packAll } from './pack-all.mjs';
import { npm, quiet, withoutNpm } from './package/npm.mjs';
import { startRegistry } from './package/registry.mjs';
import { writeAtomically } from './tools/files.mjs';
import { root } from './tools/paths.mjs';
import { capture, run } from './tools/run.mjs';
import { Stop, entry, say } from './tools/say.mjs';

const recordFile = join(root, 'docs', 'measured', 'beside-llama.json');
const [llama, diffusion] = ['node-llama-cpp', 'node-diffusion'];

/** Installs both in a folder: node-diffusion there, node-llama-cpp in a folder below, where the program runs. */
async function install(folder) {
  const registry = await startRegistry(await packAll());
  try {
    writeFileSync(join(folder, 'package.json'), '{ "private": true }\n');
    const own = { npm_config_registry: registry.url, npm_config_cache: join(folder, '.npm-cache') };
    // Not the npm() of below, which would keep this process, and so the registry, from answering.
    await run('npm', ['install', diffusion, ...quiet], { cwd: folder, env: { ...withoutNpm(), ...own } });
  } finally {
    await registry.close();
  }
  const below = join(folder, 'llama');
  cpSync(join(root, 'scripts/llama'), below, { recursive: true });
  // Its addon for the CPU is a dependency of that project; the optional ones are for GPUs and other systems, and a registry
  // may lack some, which "npm ci" would not forgive.
  npm(['install', '--omit=optional'], { cwd: below });
  writeTinyLlama(join(below, 'tiny.gguf'));
  return below;
}

/** Runs the program; throws unless it ends with 0 and says nothing but its result. */
function use(folder, names) {
  const env = { ...process.env, NODE_DIFFUSION_BINARY: '', NODE_OPTIONS: '' };
  const end = spawnSync(process.execPath, ['both.mjs', ...names], { cwd: folder, env, encoding: 'utf8' });
  if (end.status !== 0 || end.stderr !== '') {
    throw new Stop(`${names.join(', ')}: ended with ${end.signal ?? end.status}, said ${end.stderr || 'nothing'}`);
  }
  return JSON.parse(end.stdout);
}

function compare(folder) {
  const alone = [llama, diffusion].map((name) => use(folder, [name]));
  const expected = Object.assign({}, ...alone.map(({ made }) => made));
  if (Object.values(expected).includes('')) throw new Stop('one of them made nothing.');
  const orders = [
    [llama, diffusion],
    [diffusion, llama],
  ].map((order) => {
    const { made, libraries } = use(folder, order);
    return { order, same: [llama, diffusion].every((name) => made[name] === expected[name]), libraries };
  });
  return { alone: expected, orders };
}

entry(import.meta.url, async (args) => {
  const { values } = parseArgs({ args, options: { record: { type: 'boolean' } } });
  if (process.platform !== 'linux' || process.arch !== 'x64')
    throw new Stop('this comparison runs on Linux x86-64 only.');
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'nd-beside-')));
  try {
    const below = await install(folder);
    const { orders, alone } = compare(below);
    for (const { order, same, libraries } of orders) {
      say(`${order.join(', then ')}: ${same ? 'the same as alone' : 'NOT the same as alone'}; ${libraries.join(' ')}`);
    }
    const versionOf = (name) =>
      JSON.parse(readFileSync(join(below, 'node_modules', name, 'package.json'), 'utf8')).version;
    const result = {
      date: new Date().toISOString().slice(0, 10),
      commit: capture('git', ['rev-parse', 'HEAD']),
      node: process.version,
      versions: { [llama]: versionOf(llama) },
      alone,
      orders,
    };
    if (values.record) writeAtomically(recordFile, `${JSON.stringify(result, null, 2)}\n`);
    return orders.every(({ same }) => same) ? 0 : 1;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
