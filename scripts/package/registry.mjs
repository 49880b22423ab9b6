/**
 * A package registry on this machine, for tests and measurements without a network: it has the tarballs of `pack:all`, empty
 * packages for the other platforms, and sharp with all that it needs as this checkout has it installed, in the versions of
 * its lockfile. Of further packages it has those that are named, in the same way.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { root } from '../tools/paths.mjs';
import { platformPackages } from './table.mjs';

/**
 * Starts it; `packed` is what `packAll` made, `further` names installed packages. Resolves with `{ url, asked, close }`;
 * `asked` lists the paths asked for.
 */
export async function startRegistry(packed, { further = [] } = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'nd-registry-'));
  const seen = new Map();
  for (const name of ['sharp', ...further]) installed(name, root, folder, seen);
  const entries = [...packed.map(ours), ...empty(packed, folder), ...seen.values()];
  const packages = new Map();
  for (const entry of entries) packages.set(entry.manifest.name, [...(packages.get(entry.manifest.name) ?? []), entry]);
  // Yarn wants an answer for every optional dependency, whatever the platform.
  for (const { manifest } of entries) {
    const { optionalDependencies: optional = {} } = manifest;
    manifest.optionalDependencies = Object.fromEntries(Object.entries(optional).filter(([name]) => packages.has(name)));
  }
  const asked = [];
  const server = createServer((request, response) => {
    const path = decodeURIComponent(request.url.split('?')[0].slice(1));
    asked.push(path);
    if (path.startsWith('-/')) return sendFile(response, entries[Number(/(\d+)\.tgz$/.exec(path)?.[1])]);
    const versions = packages.get(path);
    if (versions === undefined) return response.writeHead(404, { 'content-type': 'application/json' }).end('{}');
    const tarball = (entry) => `${url}/-/${encodeURIComponent(path)}/${entries.indexOf(entry)}.tgz`;
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(packument(versions, tarball)));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${server.address().port}`;
  const close = () => {
    server.closeAllConnections();
    rmSync(folder, { recursive: true, force: true });
    return new Promise((resolve) => server.close(resolve));
  };
  return { url, asked, close };
}

function sendFile(response, entry) {
  if (entry === undefined) return response.writeHead(404).end();
  response.writeHead(200, { 'content-type': 'application/octet-stream' });
  createReadStream(entry.path).pipe(response);
}

/** Latest is the first version that was found. Nobody minds: what has several is asked for by ranges. */
function packument(entries, tarball) {
  const { name, version } = entries[0].manifest;
  const described = entries.map((entry) => [
    entry.manifest.version,
    { ...entry.manifest, dist: { tarball: tarball(entry), ...entry.hashes } },
  ]);
  return { name, 'dist-tags': { latest: version }, versions: Object.fromEntries(described) };
}

function entryOf(manifest, path) {
  const content = readFileSync(path);
  const digest = (name, form) => createHash(name).update(content).digest(form);
  return {
    manifest,
    path,
    hashes: { integrity: `sha512-${digest('sha512', 'base64')}`, shasum: digest('sha1', 'hex') },
  };
}

function ours({ path }) {
  const text = execFileSync('tar', ['-xzOf', path, 'package/package.json'], { encoding: 'utf8' });
  return entryOf(JSON.parse(text), path);
}

/**
 * What was not packed here, as packages that hold nothing: enough for a lockfile and for a refusal. Those of backends hold a
 * file that is called as a module is and can never be loaded.
 */
function empty(packed, folder) {
  const missing = platformPackages.filter(({ name }) => !packed.some((one) => one.name === name));
  return missing.map(({ name, kind, platform: { os, cpu, libc } }) => {
    const where = { os: [os], cpu: [cpu], ...(libc && { libc: [libc] }) };
    const manifest = { name, version: packed[0].version, ...where, preferUnplugged: true };
    const place = join(folder, 'empty', name, 'package');
    mkdirSync(place, { recursive: true });
    writeFileSync(join(place, 'package.json'), JSON.stringify(manifest));
    if (kind !== 'core') writeFileSync(join(place, `libggml-${kind}.so`), 'This is no library.\n');
    return entryOf(manifest, archive(place, folder, name));
  });
}

/** Adds to `seen` a package that Node finds from the folder `from`, and everything that it needs and that is there. */
function installed(name, from, folder, seen) {
  const place = found(name, from);
  if (place === undefined || seen.has(place)) return;
  const manifest = JSON.parse(readFileSync(join(place, 'package.json'), 'utf8'));
  for (const field of ['devDependencies', 'scripts']) delete manifest[field];
  seen.set(place, entryOf(manifest, archive(place, folder, `${name}-${manifest.version}`)));
  for (const other of Object.keys({ ...manifest.dependencies, ...manifest.optionalDependencies })) {
    installed(other, place, folder, seen);
  }
}

/** Folder of a package, in the nearest node_modules of this checkout. */
function found(name, from) {
  const place = join(from, 'node_modules', name);
  if (existsSync(join(place, 'package.json'))) return place;
  return from === root ? undefined : found(name, dirname(from));
}

/** Package managers strip the first folder of a tarball whatever its name. Packages inside a package are packages of their own. */
function archive(place, folder, name) {
  const path = join(folder, `${name.replace('/', '+')}.tgz`);
  const options = { maxBuffer: 1 << 30, stdio: ['ignore', 'pipe', 'inherit'] };
  const tar = execFileSync(
    'tar',
    ['-chf', '-', '--exclude=node_modules', '-C', dirname(place), basename(place)],
    options,
  );
  writeFileSync(path, gzipSync(tar, { level: 1 }));
  return path;
}
