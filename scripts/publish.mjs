#!/usr/bin/env node
/**
 * Publishes the tarballs of a release, for the workflow: `node scripts/publish.mjs FOLDER [--dry-run]`. FOLDER has those of every
 * job in folders of their own. Nothing is published unless every package of the table (scripts/package/table.mjs) is there.
 * The main package goes last, since it asks for the others. A package that is published already is left, so that a release
 * that was interrupted can go on.
 */
import { readFileSync, readdirSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { platformPackages } from './package/table.mjs';
import { root } from './tools/paths.mjs';
import { capture, run } from './tools/run.mjs';
import { Stop, entry, say } from './tools/say.mjs';

const { name: mainName, version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

/** Name and tarball of each package in the order of publishing. */
function release(folder) {
  const found = readdirSync(folder, { recursive: true })
    .filter((path) => path.endsWith('.tgz'))
    .sort();
  const names = [...platformPackages.map(({ name }) => name), mainName];
  const known = new Map(names.map((name) => [`${name.replace('@', '').replace('/', '-')}-${version}.tgz`, name]));
  const other = found.filter((path) => !known.has(basename(path)));
  if (other.length > 0) throw new Stop(`of no package of version ${version}: ${other.join(', ')}.`);
  // Every platform packs the same main package; any of them will do.
  const list = [...known].map(([file, name]) => ({ name, path: found.find((path) => basename(path) === file) }));
  const missing = list.filter(({ path }) => path === undefined).map(({ name }) => name);
  if (missing.length > 0) throw new Stop(`no tarball of ${missing.join(', ')} in ${folder}; nothing was published.`);
  return list.map(({ name, path }) => ({ name, path: resolve(folder, path) }));
}

entry(import.meta.url, async (args) => {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: { 'dry-run': { type: 'boolean' } },
  });
  if (positionals.length !== 1) throw new Stop('usage: node scripts/publish.mjs FOLDER [--dry-run]');
  for (const { name, path } of release(positionals[0])) {
    if (values['dry-run']) say(`${name}: ${path}`);
    else if (capture('npm', ['view', `${name}@${version}`, 'version']) === version)
      say(`${name}: is published already`);
    else await run('npm', ['publish', path, '--provenance', '--access', 'public']);
  }
});
