import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { root } from '../support/child/run.js';
import { pack, type Packed, unpack } from './tarball.js';

// The weights of the embedded model are 27 MB and hardly shrink; the rest is source, compiled code and maps.
const mebibyte = 1024 * 1024;
const limits = { packed: 32 * mebibyte, withoutModel: 6 * mebibyte };

interface Manifest {
  readonly name: string;
  readonly main: string;
  readonly types: string;
  readonly bin: Readonly<Record<string, string>>;
  readonly exports: Readonly<Record<string, unknown>>;
  readonly scripts?: Readonly<Record<string, string>>;
  readonly gypfile?: boolean;
  readonly dependencies?: Readonly<Record<string, string>>;
}

describe('the tarball', () => {
  let folder: string;
  let packed: Packed;
  let unpacked: string;
  let manifest: Manifest;
  let paths: string[];

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'nd-tarball-'));
    packed = pack(folder);
    unpacked = unpack(packed.path, folder);
    manifest = JSON.parse(readFileSync(join(unpacked, 'package.json'), 'utf8')) as Manifest;
    paths = packed.files.map(({ path }) => path);
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
    const model = ['models/nano/README.md', 'models/nano/nano-v0.safetensors'];
    expect([...wanted, ...doors, ...bench, ...model].filter((path) => !paths.includes(path))).toEqual([]);
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

  it('stays small', () => {
    const model = packed.files.find(({ path }) => path.endsWith('.safetensors'))?.size ?? 0;
    const prebuilt = packed.files
      .filter(({ path }) => path.startsWith('prebuilds/'))
      .reduce((sum, { size }) => sum + size, 0);
    const rest = packed.unpackedSize - model - prebuilt;
    const shown = `${(packed.size / mebibyte).toFixed(1)} MiB packed, ${(rest / mebibyte).toFixed(1)} MiB without model and binaries`;
    process.stdout.write(`tarball: ${shown}, ${String(packed.files.length)} files\n`);
    if (prebuilt === 0) expect(packed.size, shown).toBeLessThan(limits.packed);
    expect(rest, shown).toBeLessThan(limits.withoutModel);
  });
});

/** All files that an `exports` map names. */
function targets(entry: unknown): string[] {
  if (typeof entry === 'string') return [entry];
  return typeof entry === 'object' && entry !== null ? Object.values(entry).flatMap(targets) : [];
}

function escape(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
