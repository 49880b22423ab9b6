#!/usr/bin/env node
/** Everything between a fresh clone and a working build. Starts before node_modules exists: Node's own modules only. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildTypeScript } from './build-ts.mjs';
import { buildNative } from './build.mjs';
import { root } from './tools/paths.mjs';
import { missingTools } from './tools/requirements.mjs';
import { run, which } from './tools/run.mjs';
import { Stop, entry, say, since } from './tools/say.mjs';

/** Tools, npm packages, engine source, native build, TypeScript build; `define` goes to CMake. */
export async function setup({ define = [] } = {}) {
  const start = performance.now();
  const missing = missingTools();
  if (missing !== null) throw new Stop(missing);
  await installPackages();
  await buildNative({ define });
  await buildTypeScript();
  say(`set up (${since(start)})`);
}

/** `npm ci`, unless node_modules already holds exactly the lockfile's versions. */
export async function installPackages() {
  if (packagesMatch()) return say('npm packages: nothing to do');
  const start = performance.now();
  say('npm packages: installing');
  await run(which('npm'), ['ci', '--ignore-scripts', '--no-audit', '--no-fund']);
  say(`npm packages: ready (${since(start)})`);
}

/** npm writes node_modules/.package-lock.json last, so an interrupted installation does not match. */
function packagesMatch() {
  const installedFile = join(root, 'node_modules/.package-lock.json');
  if (!existsSync(installedFile)) return false;
  const installed = packagesOf(installedFile);
  return Object.entries(packagesOf(join(root, 'package-lock.json'))).every(([path, { version, optional }]) => {
    const found = path === '' ? { version } : installed[path];
    return found === undefined ? optional === true : found.version === version;
  });
}

function packagesOf(lockfile) {
  return JSON.parse(readFileSync(lockfile, 'utf8')).packages;
}

entry(import.meta.url, () => setup());
