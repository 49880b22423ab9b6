import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { execFile } from 'node:child_process';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { publint } from 'publint';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { embeddedName } from '../../lib/model/embedded/pins.js';
import { root } from '../support/child/run.js';
import { backendPackages, coreDependencies, platformPackages } from '../../scripts/package/table.mjs';
import { coreName, packAll, packed, type Packed, unpack } from './tarball.js';

const exec = promisify(execFile);

// Budgets, bytes. The weights of the embedded model are 27 MB and hardly shrink; the rest is source, compiled code and maps.
const limits = { main: 45e6, core: 25e6, withoutModel: 6.3e6 };

interface Manifest {
  readonly name: string;
  readonly main: string;
  readonly types: string;
  readonly bin: Readonly<Record<string, string>>;
  readonly exports: Readonly<Record<string, unknown>>;
  readonly scripts?: Readonly<Record<string, string>>;
  readonly gypfile?: boolean;
  readonly version: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
  readonly peerDependenciesMeta?: Readonly<Record<string, { readonly optional: boolean }>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly os?: readonly string[];
  readonly cpu?: readonly string[];
  readonly libc?: readonly string[];
}

describe('the tarball', () => {
  let folder: string;
  let tarball: Packed;
  let unpacked: string;
  let manifest: Manifest;
  let paths: string[];

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'nd-tarball-'));
    tarball = await packed('node-diffusion');
    unpacked = unpack(tarball.path, folder);
    manifest = JSON.parse(readFileSync(join(unpacked, 'package.json'), 'utf8')) as Manifest;
    paths = tarball.files.map(({ path }) => path);
  });

  afterAll(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  it('has the licences, the notices, the change log, the model with its card, and both doors', () => {
    const wanted = ['LICENSE', 'THIRD_PARTY_NOTICES.md', 'CHANGELOG.md', 'README.md', 'models/nano/LICENSE'];
    const doors = [
      'dist/index.js',
      'dist/index.d.ts',
      'dist/cjs/index.js',
      'dist/cjs/index.d.ts',
      'dist/cjs/package.json',
    ];
    const bench = ['dist/bench/child.js', 'bench/peers/diffusers_peer.py', 'bench/peers/openvino_python_peer.py'];
    const model = [
      'models/nano/README.md',
      `models/nano/${embeddedName}.safetensors`,
      'models/nano/companions/ink-lora.safetensors',
    ];
    expect([...wanted, ...doors, ...bench, ...model].filter((path) => !paths.includes(path))).toEqual([]);
  });

  it('is clean for publint and are-the-types-wrong as it is published, which is not as the checkout is', async () => {
    const { messages } = await publint({ pkgDir: unpacked, pack: false, strict: true });
    expect(messages).toEqual([]);
    const attw = join(root, 'node_modules', '@arethetypeswrong', 'cli', 'dist', 'index.js');
    // It fails, and the message has its table, when a door of the tarball resolves to no or other types.
    await exec(process.execPath, [attw, tarball.path, '--no-color']);
  });

  it('has every file that its package.json names', () => {
    const named = [manifest.main, manifest.types, ...Object.values(manifest.bin), ...targets(manifest.exports)];
    expect(named.length).toBeGreaterThan(4);
    expect(named.map((path) => path.replace(/^\.\//, '')).filter((path) => !paths.includes(path))).toEqual([]);
  });

  it('has what it takes to build from source, the third-party source apart', () => {
    const wanted = [
      'CMakeLists.txt',
      'binding.gyp',
      'scripts/build.mjs',
      'scripts/engine-source.mjs',
      'native/addon/addon.cpp',
    ];
    expect(wanted.filter((path) => !paths.includes(path))).toEqual([]);
    // Whatever the scripts it carries import from each other is carried too.
    const scripts = paths.filter((path) => path.startsWith('scripts/'));
    for (const script of scripts) {
      const source = readFileSync(join(unpacked, script), 'utf8');
      for (const [, target = ''] of source.matchAll(/from '(\.[^']+)'/g)) {
        expect(paths, `${script} imports ${target}`).toContain(join(script, '..', target).replaceAll('\\', '/'));
      }
    }
  });

  it('has no third-party source, test, build output or secret in it', () => {
    const unwanted =
      /^native\/vendor\/|^native\/test\/|^test\/|^build\/|^node_modules\/|^bench\/(?!peers\/)|__pycache__|\.env|\.pem$|\.npmrc|\.o$|\.log$/;
    expect(paths.filter((path) => unwanted.test(path))).toEqual([]);
  });

  it('names no folder of this machine', () => {
    const machine = [root.replace(/[\\/]$/, ''), homedir()].filter((path) => path.length > 1);
    const texts = paths.filter((path) => !/\.(?:safetensors|node|so|dll|dylib|png)$/.test(path));
    const guilty = texts.filter((path) => {
      const text = readFileSync(join(unpacked, path), 'utf8');
      return machine.some((name) => new RegExp(`${escape(name)}(?:[\\\\/"']|$)`).test(text));
    });
    expect(guilty).toEqual([]);
  });

  it('runs nothing when it is installed', () => {
    const hooks = ['preinstall', 'install', 'postinstall', 'prepare', 'prepublish'];
    expect(hooks.filter((name) => manifest.scripts?.[name] !== undefined)).toEqual([]);
    // npm runs node-gyp by itself for a package with binding.gyp, unless it is told not to.
    expect(manifest.gypfile).toBe(false);
  });

  it('has source maps that lead to sources it carries', () => {
    const maps = paths.filter((path) => path.startsWith('dist/') && path.endsWith('.map'));
    expect(maps.length).toBeGreaterThan(0);
    for (const map of maps) {
      const { sources } = JSON.parse(readFileSync(join(unpacked, map), 'utf8')) as { sources: string[] };
      const found = sources.map((source) => join(map, '..', source).replaceAll('\\', '/'));
      expect(
        found.filter((path) => !paths.includes(path)),
        map,
      ).toEqual([]);
    }
  });

  it('asks for the core package of every platform and lets those of backends in, in its own version, and for nothing that only a checkout needs', () => {
    expect(manifest.optionalDependencies).toEqual(coreDependencies(manifest.version));
    const optional = backendPackages.map((name) => [name, { optional: true }]);
    expect(manifest.peerDependenciesMeta).toEqual(Object.fromEntries(optional));
    const own = backendPackages.map((name) => [name, manifest.version]);
    expect(manifest.peerDependencies).toEqual(Object.fromEntries(own));
    expect(Object.keys(manifest.dependencies ?? {})).toEqual(['sharp']);
    expect(manifest.devDependencies).toBeUndefined();
    expect(paths.filter((path) => /\.(?:node|so|dll|dylib)$/.test(path))).toEqual([]);
  });

  it('stays small', () => {
    const model = tarball.files.filter(({ path }) => path.startsWith('models/nano/'));
    const rest = model.reduce((left, { size }) => left - size, tarball.unpackedSize);
    const shown = `${(tarball.size / 1e6).toFixed(1)} MB packed, ${(rest / 1e6).toFixed(1)} MB without the model`;
    process.stdout.write(`main tarball: ${shown}, ${String(tarball.files.length)} files\n`);
    expect(tarball.size, shown).toBeLessThan(limits.main);
    expect(rest, shown).toBeLessThan(limits.withoutModel);
    expect(documented()[0], `docs/install.md; it is ${shown}`).toBe(Math.round(tarball.size / 1e6));
  });
});

describe('the platform packages', async () => {
  const made = await packAll();
  const core = made.find(({ name }) => name === coreName);

  it('are made for this machine, in one version with the main package', () => {
    expect(core).toBeDefined();
    expect(new Set(made.map(({ version }) => version)).size).toBe(1);
    const known = new Set(['node-diffusion', ...platformPackages.map(({ name }) => name)]);
    expect(made.filter(({ name }) => !known.has(name))).toEqual([]);
  });

  it('stay small', () => {
    const size = core?.size ?? Infinity;
    process.stdout.write(`${coreName}: ${(size / 1e6).toFixed(1)} MB packed\n`);
    expect(size).toBeLessThan(limits.core);
    if (coreName === '@node-diffusion/linux-x64') {
      expect(documented()[1], `docs/install.md; it is ${(size / 1e6).toFixed(1)} MB`).toBe(Math.round(size / 1e6));
    }
  });

  it('say where they run, and run nothing when they are installed', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'nd-platform-'));
    for (const { name, path } of made.filter((entry) => entry.name !== 'node-diffusion')) {
      const unpacked = unpack(path, join(folder, name.replace('/', '+')));
      const manifest = JSON.parse(readFileSync(join(unpacked, 'package.json'), 'utf8')) as Manifest;
      const { messages } = await publint({ pkgDir: unpacked, pack: false, strict: true });
      expect(messages, name).toEqual([]);
      expect(manifest).toMatchObject({ name, os: [process.platform], cpu: [process.arch], preferUnplugged: true });
      expect(manifest.libc).toEqual(process.platform === 'linux' ? ['glibc'] : undefined);
      expect(manifest.scripts).toBeUndefined();
    }
    rmSync(folder, { recursive: true, force: true });
  });

  it('are the same bytes when they are packed again', async () => {
    const before = await packed(coreName);
    rmSync(before.path);
    expect((await packed(coreName)).sha256).toBe(before.sha256);
  });

  it('are refused by name when they are for another platform, and when their module was not built', async () => {
    await expect(packAll([`${coreName}-none`])).rejects.toThrow(/is no package of this platform/);
    const host = platformPackages.filter(({ name }) => name.startsWith(coreName));
    for (const { name } of host.filter((entry) => !made.some((one) => one.name === entry.name)))
      await expect(packAll([name])).rejects.toThrow(/cannot be packed: .*Build it first/);
  });
});

/** Sizes that docs/install.md tells: of the main tarball and of the core package of linux-x64, MB. */
function documented(): number[] {
  const page = readFileSync(join(root, 'docs', 'install.md'), 'utf8');
  const found = /main tarball is (\d+) MB and the core package (\d+) MB/.exec(page) ?? [];
  return found.slice(1).map(Number);
}

/** All files that an `exports` map names. */
function targets(entry: unknown): string[] {
  if (typeof entry === 'string') return [entry];
  return typeof entry === 'object' && entry !== null ? Object.values(entry).flatMap(targets) : [];
}

function escape(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
