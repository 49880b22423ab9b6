import { mkdirSync, mkdtempSync, realpathSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { DiffusionError } from '../../lib/errors/index.js';
import { unpacked } from '../../lib/native/candidates.js';
import { loadAddon, type LoadAddonOptions, LoadError } from '../../lib/native/load.js';
import { platformTag } from '../../lib/native/platform.js';
import { FakeAddon } from '../support/fakeAddon.js';

const name = 'node-diffusion.node';
const tag = 'linux-x64';

/** A package directory with the given files in it. */
function packageWith(...files: string[]): string {
  const root = mkdtempSync(join(tmpdir(), 'node-diffusion-loader-'));
  writeFileSync(join(root, 'package.json'), JSON.stringify({ name: 'node-diffusion', version: '1.2.3' }));
  for (const file of files) place(root, file);
  return root;
}

function place(root: string, file: string, text = ''): string {
  const path = join(root, file);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  return path;
}

function platformPackage(root: string, version: string): string {
  place(
    root,
    `node_modules/@node-diffusion/${tag}/package.json`,
    JSON.stringify({ name: `@node-diffusion/${tag}`, version }),
  );
  return place(root, `node_modules/@node-diffusion/${tag}/${name}`);
}

function load(
  options: LoadAddonOptions,
  broken: Readonly<Record<string, string>> = {},
): { path: string; attempts: readonly { problem: string }[] } {
  const { addon } = new FakeAddon();
  return loadAddon({
    tag,
    env: {},
    require: (path) => {
      const problem = broken[path];
      if (problem !== undefined) throw new Error(problem);
      return addon;
    },
    ...options,
  });
}

function failure(options: LoadAddonOptions, broken: Readonly<Record<string, string>> = {}): LoadError {
  try {
    load(options, broken);
  } catch (error) {
    if (error instanceof LoadError) return error;
    throw error;
  }
  throw new Error('It loaded');
}

describe('loadAddon', () => {
  it('looks in the stated order', () => {
    const build = join('build', 'Release', name);
    const prebuilt = join('prebuilds', tag, name);
    const root = packageWith(build, prebuilt);
    const platform = platformPackage(root, '1.2.3');
    const other = place(root, 'elsewhere/x.node');
    const env = { NODE_DIFFUSION_BINARY: other };
    expect(load({ root, env, binary: join(root, build) }).path).toBe(join(root, build));
    expect(load({ root, env }).path).toBe(other);
    expect(load({ root }).path).toBe(join(root, build));
    expect(load({ root: packageWith(prebuilt) }).path).toMatch(/prebuilds/);
    const bare = packageWith();
    expect(load({ root: bare, ...{ env: { NODE_DIFFUSION_BINARY: '' } }, binary: platform }).path).toBe(platform);
    expect(platformPackage(bare, '1.2.3')).toBe(load({ root: bare }).path);
  });

  it('loads the backend modules from the directory of the binary', () => {
    const root = packageWith(join('build', 'Release', name));
    const fake = new FakeAddon();
    const seen: string[] = [];
    fake.addon.loadBackends = (directory) => {
      seen.push(directory);
      return [];
    };
    loadAddon({ root, tag, env: {}, require: () => fake.addon });
    expect(seen).toEqual([join(root, 'build', 'Release')]);
  });

  it('loads backend packages of its own version by absolute path, and says why it leaves another alone', () => {
    const root = packageWith(`build/Release/${name}`);
    const { addon } = new FakeAddon();
    const directories: string[] = [];
    const loadBackends = (directory: string) => {
      directories.push(directory);
      return [{ file: join(directory, 'libggml-some.so'), loaded: true, reason: '' }];
    };
    const backends = () =>
      loadAddon({ root, tag, env: {}, require: () => ({ ...addon, loadBackends }) }).backends.map(
        ({ reason }) => reason,
      );
    const folder = `node_modules/@node-diffusion/${tag}-openvino`;
    expect(backends()).toEqual(['']);
    place(root, `${folder}/package.json`, JSON.stringify({ version: '1.2.3' }));
    directories.length = 0;
    expect(backends()).toEqual(['', '']);
    expect(directories.map((directory) => realpathSync(dirname(directory)))).toEqual(
      [join(root, 'build'), join(root, 'node_modules/@node-diffusion')].map((path) => realpathSync(path)),
    );
    place(root, `${folder}/package.json`, JSON.stringify({ version: '9.9.9' }));
    expect(backends()).toEqual(['', expect.stringContaining(`npm install @node-diffusion/${tag}-openvino@1.2.3`)]);
  });

  it('goes on after a binary that does not load, and keeps the reason', () => {
    const root = packageWith(join('build', 'Release', name), join('prebuilds', tag, name));
    const result = load({ root }, { [join(root, 'build', 'Release', name)]: 'invalid ELF header' });
    expect(result.path).toBe(join(root, 'prebuilds', tag, name));
    expect(result.attempts.map(({ problem }) => problem)).toEqual(['invalid ELF header', '']);
  });

  it('uses what a person names or fails, and tries nothing else', () => {
    const root = packageWith(join('build', 'Release', name));
    const error = failure({ root, binary: join(root, 'missing.node') });
    expect(error.attempts).toHaveLength(1);
    expect(error.message).toContain('missing.node: no such file');
    expect(failure({ root, env: { NODE_DIFFUSION_BINARY: '/nowhere.node' } }).message).toContain(
      'NODE_DIFFUSION_BINARY',
    );
  });

  it('says what was tried and names one command', () => {
    const error = failure({ root: packageWith() });
    expect(error).toBeInstanceOf(DiffusionError);
    expect(error.code).toBe('ERR_BACKEND_UNAVAILABLE');
    for (const place of ['local build', 'prebuilds', 'platform package', '@node-diffusion/linux-x64'])
      expect(error.message).toContain(place);
    expect(error.hint).toContain('npm install --os=linux --cpu=x64 --include=optional node-diffusion@1.2.3');
  });

  it('tells a checkout to build, musl and rare platforms to build from source', () => {
    expect(failure({ root: packageWith('CMakeLists.txt', '.git') }).hint).toBe('Build it: npm run build');
    expect(failure({ root: packageWith(), tag: 'linuxmusl-x64' }).hint).toMatch(/musl.*npm run build/);
    expect(failure({ root: packageWith(), tag: 'freebsd-x64' }).hint).toContain('freebsd-x64');
  });

  it('refuses a platform package of another version', () => {
    const root = packageWith();
    platformPackage(root, '1.0.0');
    const error = failure({ root });
    expect(error.message).toContain('is version 1.0.0, this package is 1.2.3');
    expect(error.hint).toContain('npm install node-diffusion@1.2.3');
  });

  it.each([
    ['libvulkan.so.1: cannot open shared object file: No such file or directory', 'libvulkan.so.1'],
    ["/lib/libstdc++.so.6: version `GLIBCXX_3.4.32' not found (required by x.node)", 'GLIBCXX_3.4.32'],
    ["/lib/libc.so.6: version `GLIBC_2.38' not found", 'GLIBC_2.38'],
    ['x.node: invalid ELF header', 'not a binary for linux-x64'],
  ])('explains %s', (problem, told) => {
    const root = packageWith(join('build', 'Release', name));
    const error = failure({ root }, { [join(root, 'build', 'Release', name)]: problem });
    expect(error.hint).toContain(told);
    expect(error.cause).toMatchObject({ message: problem });
  });

  it('refuses another addon', () => {
    const root = packageWith(join('build', 'Release', name));
    expect(() => loadAddon({ root, tag, env: {}, require: () => ({ hello: () => 1 }) })).toThrow(
      /not the one of this package/,
    );
  });
});

describe('paths and platforms', () => {
  it('swaps the archive of Electron for what lies beside it', () => {
    expect(unpacked('/app/resources/app.asar/node_modules/x.node')).toBe(
      '/app/resources/app.asar.unpacked/node_modules/x.node',
    );
    expect(unpacked('C:\\app.asar\\x.node')).toBe('C:\\app.asar.unpacked\\x.node');
    expect(unpacked('/app/app.asar.unpacked/x.node')).toBe('/app/app.asar.unpacked/x.node');
  });

  it('names platforms', () => {
    expect(platformTag('linux', 'x64', true)).toBe('linuxmusl-x64');
    expect(platformTag('linux', 'arm64', false)).toBe('linux-arm64');
    expect(platformTag('darwin', 'arm64')).toBe('darwin-arm64');
  });
});
