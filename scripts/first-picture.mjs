#!/usr/bin/env node
/**
 * Measures the time from `npm install ./tarballs/*.tgz` in an empty folder to the first picture: caches of npm and of the
 * package are empty, sharp comes from a registry on this machine (scripts/package/registry.mjs), so no network is in it.
 *
 *   node scripts/first-picture.mjs [--record] [--check]
 *
 * `--record` writes docs/measured/first-picture.json; `--check` fails above the goal. The load before the run is recorded:
 * on a machine that is busy the figure says little.
 */
import { spawn } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { packAll } from './pack-all.mjs';
import { withoutNpm } from './package/npm.mjs';
import { startRegistry } from './package/registry.mjs';
import { writeAtomically } from './tools/files.mjs';
import { root } from './tools/paths.mjs';
import { capture } from './tools/run.mjs';
import { Stop, entry, say } from './tools/say.mjs';

/** Seconds. */
const goal = 30;
const recordFile = join(root, 'docs', 'measured', 'first-picture.json');

async function measure() {
  const packed = await packAll();
  const registry = await startRegistry(packed);
  const folder = mkdtempSync(join(tmpdir(), 'nd-first-'));
  try {
    mkdirSync(join(folder, 'tarballs'));
    for (const { path } of packed) copyFileSync(path, join(folder, 'tarballs', basename(path)));
    const load = loadavg()[0];
    const env = {
      ...withoutNpm(),
      npm_config_registry: registry.url,
      npm_config_cache: join(folder, '.npm-cache'),
      NODE_DIFFUSION_CACHE: join(folder, '.cache'),
      NODE_DIFFUSION_BINARY: '',
    };
    const files = packed.map(({ path }) => `./tarballs/${basename(path)}`);
    const quiet = ['--ignore-scripts', '--no-audit', '--no-fund', '--no-update-notifier', '--loglevel=error'];
    const install = await timed(folder, env, 'npm', ['install', ...files, ...quiet]);
    const draw = ['--no-install', 'node-diffusion', 'generate', 'a red apple', '-o', 'first.png', '--seed', '1'];
    const picture = await timed(folder, env, 'npx', draw);
    if (!existsSync(join(folder, 'first.png')) || statSync(join(folder, 'first.png')).size === 0) {
      throw new Stop('no picture was made.');
    }
    return { install, picture, total: install + picture, load };
  } finally {
    await registry.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Seconds that a program takes. */
function timed(cwd, env, command, args) {
  const start = performance.now();
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, env, stdio: ['ignore', 'ignore', 'inherit'] });
    child.once('error', reject);
    child.once('close', (code) => {
      if (code === 0) resolve((performance.now() - start) / 1000);
      else reject(new Stop(`"${command} ${args.join(' ')}" ended with ${code}.`));
    });
  });
}

entry(import.meta.url, async (args) => {
  const { values } = parseArgs({ args, options: { record: { type: 'boolean' }, check: { type: 'boolean' } } });
  const { load, ...times } = await measure();
  const seconds = Object.fromEntries(Object.entries(times).map(([name, value]) => [name, Number(value.toFixed(2))]));
  say(`install ${seconds.install} s, first picture ${seconds.picture} s, together ${seconds.total} s (goal ${goal} s)`);
  const result = {
    date: new Date().toISOString().slice(0, 10),
    commit: capture('git', ['rev-parse', 'HEAD']),
    machine: { cpu: cpus()[0].model.trim(), cores: cpus().length, loadBefore: Number(load.toFixed(2)) },
    node: process.version,
    npm: capture('npm', ['--version']),
    seconds,
    goal,
  };
  if (values.record) writeAtomically(recordFile, `${JSON.stringify(result, null, 2)}\n`);
  return values.check && seconds.total > goal ? 1 : 0;
});
