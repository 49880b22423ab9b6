/**
 * A package registry on this machine, for tests and measurements without a network: it has the tarballs of `pack:all`, empty
 * packages for the other platforms, and sharp with all that it needs as this checkout has it installed. Nothing else.
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

const modules = join(root, 'node_modules');

/** Starts it; `packed` is what `packAll` made. Resolves with `{ url, asked, close }`; `asked` lists the paths asked for. */
export async function startRegistry(packed) {
  const folder = mkdtempSync(join(tmpdir(), 'nd-registry-'));
  const entries = [...packed.map(ours), ...empty(packed, folder), ...installed('sharp', folder)];
  const packages = new Map(entries.map((entry) => [entry.manifest.name, entry]));
  // Yarn wants an answer for every optional dependency, whatever the platform.
  for (const { manifest } of entries) {
    const { optionalDependencies: optional = {} } = manifest;
    manifest.optionalDependencies = Object.fromEntries(Object.entries(optional).filter(([name]) => packages.has(name)));
  }
  const asked = [];
  const server = createServer((request, response) => {
    const path = decodeURIComponent(request.url.split('?')[0].slice(1));
    asked.push(path);
    if (path.startsWith('-/')) return sendFile(response, packages.get(path.slice(2).replace(/\.tgz$/, '')));
    const entry = packages.get(path);
    if (entry === undefined) return response.writeHead(404, { 'content-type': 'application/json' }).end('{}');
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(packument(entry, url)));
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

function packument({ manifest, hashes }, url) {
  const { name, version } = manifest;
  const dist = { tarball: `${url}/-/${encodeURIComponent(name)}.tgz`, ...hashes };
  return { name, 'dist-tags': { latest: version }, versions: { [version]: { ...manifest, dist } } };
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

/** What was not packed here, as packages that hold nothing: enough for a lockfile and for a refusal. */
function empty(packed, folder) {
  const missing = platformPackages.filter(({ name }) => !packed.some((one) => one.name === name));
  return missing.map(({ name, platform: { os, cpu, libc } }) => {
    const manifest = { name, version: packed[0].version, os: [os], cpu: [cpu], ...(libc && { libc: [libc] }) };
    const place = join(folder, 'empty', name, 'package');
    mkdirSync(place, { recursive: true });
    writeFileSync(join(place, 'package.json'), JSON.stringify(manifest));
    return entryOf(manifest, archive(place, folder, name));
  });
}

/** A package of this checkout's node_modules and everything that it needs and that is there. */
function installed(name, folder, seen = new Map()) {
  const place = join(modules, name);
  if (seen.has(name) || !existsSync(join(place, 'package.json'))) return [...seen.values()];
  const manifest = JSON.parse(readFileSync(join(place, 'package.json'), 'utf8'));
  for (const field of ['devDependencies', 'scripts']) delete manifest[field];
  seen.set(name, entryOf(manifest, archive(place, folder, name)));
  for (const other of Object.keys({ ...manifest.dependencies, ...manifest.optionalDependencies })) {
    installed(other, folder, seen);
  }
  return [...seen.values()];
}

/** Package managers strip the first folder of a tarball whatever its name. */
function archive(place, folder, name) {
  const path = join(folder, `${name.replace('/', '+')}.tgz`);
  const options = { maxBuffer: 1 << 30, stdio: ['ignore', 'pipe', 'inherit'] };
  const tar = execFileSync('tar', ['-chf', '-', '-C', dirname(place), basename(place)], options);
  writeFileSync(path, gzipSync(tar, { level: 1 }));
  return path;
}
