#!/usr/bin/env node
/**
 * `npm run pack:all`: makes the tarballs of a release in build/tarballs, the main one and those of this machine's platform
 * whose binaries are built (scripts/package/table.mjs is the table of them).
 *
 *   node scripts/pack-all.mjs [--json] [NAME ...]      e.g. node-diffusion @node-diffusion/linux-x64-openvino
 *
 * A package that is named and cannot be made is an error; without names, backend packages without a module are left out,
 * and so is a CUDA module that was built to try it.
 * The same files give the same bytes: npm writes one time and no owner into every entry. `--json` prints what was made.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { buildTypeScript } from './build-ts.mjs';
import { platformPackages } from './package/table.mjs';
import { hostTag, prebuild, prebuildsFolder } from './prebuild.mjs';
import { sha256 } from './tools/files.mjs';
import { locked } from './tools/lock.mjs';
import { npm } from './package/npm.mjs';
import { buildDir } from './tools/paths.mjs';
import { inputsOf, mainName, payload, stageMain, stagePlatform } from './package/stage.mjs';
import { Stop, entry, say, since } from './tools/say.mjs';

const stages = join(buildDir, 'packages');
export const tarballs = join(buildDir, 'tarballs');
const indexFile = join(tarballs, 'index.json');

/** Makes the tarballs that are not there yet; resolves with `{ name, version, path, sha256, size, unpackedSize, files }` of each. */
export async function packAll(names = []) {
  checkNames(names);
  await buildTypeScript();
  await prebuild();
  return locked(join(buildDir, '.lock-pack'), 'packages', async () => {
    const known = existsSync(indexFile) ? JSON.parse(readFileSync(indexFile, 'utf8')) : {};
    const made = [];
    for (const wanted of chosen(names)) {
      const start = performance.now();
      const state = inputsOf(wanted);
      const before = known[wanted.name];
      if (before?.state !== state || !existsSync(before.path) || sha256(before.path) !== before.sha256) {
        const folder = join(stages, wanted.name.replace('/', '+'));
        if (wanted.name === mainName) stageMain(folder);
        else stagePlatform(wanted, folder);
        known[wanted.name] = { state, ...(await pack(folder)) };
        const { size, files } = known[wanted.name];
        say(`packed ${wanted.name}: ${(size / 1e6).toFixed(1)} MB, ${files.length} files (${since(start)})`);
      }
      made.push(known[wanted.name]);
    }
    writeFileSync(indexFile, JSON.stringify(known));
    return made;
  });
}

const hostPackages = platformPackages.filter(({ platform }) => platform.tag === hostTag);
const all = [{ name: mainName }, ...hostPackages];

function checkNames(names) {
  for (const name of names) {
    if (all.some((entry) => entry.name === name)) continue;
    throw new Stop(`"${name}" is no package of this platform: ${all.map((entry) => entry.name).join(', ')}.`);
  }
}

function chosen(names) {
  if (names.length > 0) return all.filter(({ name }) => names.includes(name));
  return all.filter((entry) => {
    const missing = entry.kind === undefined || entry.kind === 'core' ? [] : payload(entry).missing;
    const trial = entry.trial?.(prebuildsFolder) ?? '';
    const why = trial === '' && missing.length > 0 ? 'its module is not built' : trial;
    if (why !== '') say(`left out ${entry.name}: ${why}`);
    return why === '';
  });
}

async function pack(folder) {
  mkdirSync(tarballs, { recursive: true });
  const out = npm(['pack', folder, '--json', '--pack-destination', tarballs]);
  const [{ name, version, filename, size, unpackedSize, files }] = JSON.parse(out);
  const path = join(tarballs, filename.replace(/^@/, '').replace('/', '-'));
  return { name, version, path, sha256: sha256(path), size, unpackedSize, files };
}

entry(import.meta.url, async (args) => {
  const { values, positionals } = parseArgs({ args, allowPositionals: true, options: { json: { type: 'boolean' } } });
  const made = await packAll(positionals);
  if (values.json) process.stdout.write(`${JSON.stringify(made)}\n`);
  else for (const { path, sha256: hash } of made) say(`${hash}  ${path}`);
});
