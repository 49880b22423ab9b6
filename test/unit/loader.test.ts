import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { DiffusionError } from '../../lib/errors/index.js';
import { platformPackages, platforms } from '../../scripts/package/table.mjs';
import { modulesOf } from '../../lib/native/backends.js';
import { unpacked } from '../../lib/native/candidates.js';
import {
  backendPackageName,
  backendPackageNames,
  platformPackageName,
  prebuiltTags,
} from '../../lib/native/packages.js';
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
    expect(error.hint).toMatch(/npm install --include=optional node-diffusion@1\.2\.3$/);
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

describe('backend modules', () => {
  /** Loads with a fake addon; what it was asked for, and the reports. */
  function backends(root: string, skip?: ReadonlyMap<string, string>) {
    const fake = new FakeAddon();
    const asked: [directory: string, skipped: readonly string[]][] = [];
    fake.addon.loadBackends = (directory, skipped = []) => {
      asked.push([directory, skipped]);
      const broken = directory.endsWith('vulkan');
      return [{ file: join(directory, 'module'), loaded: !broken, reason: broken ? 'libvulkan.so.1: missing' : '' }];
    };
    const options = { root, tag, env: {}, require: () => fake.addon, ...(skip === undefined ? {} : { skip }) };
    return { asked, reports: loadAddon(options).backends };
  }

  function backendPackage(root: string, suffix: string, version: string, file: string): string {
    const folder = `node_modules/@node-diffusion/${tag}-${suffix}`;
    place(root, `${folder}/package.json`, JSON.stringify({ version }));
    place(root, `${folder}/${file}`);
    return join(root, folder);
  }

  it('come from the folder of the binary and from every backend package, in order', () => {
    const root = packageWith(join('build', 'Release', name));
    const vulkan = backendPackage(root, 'vulkan', '1.2.3', 'libggml-vulkan.so');
    const openvino = backendPackage(root, 'openvino', '1.2.3', 'libggml-openvino.so');
    const { asked, reports } = backends(root);
    expect(asked.map(([directory]) => directory)).toEqual([join(root, 'build', 'Release'), openvino, vulkan]);
    // The one that does not load keeps no other from being used, and its reason is kept.
    expect(reports.map(({ loaded }) => loaded)).toEqual([true, true, false]);
    expect(reports[2]?.reason).toBe('libvulkan.so.1: missing');
  });

  it('of another version are refused with the reason, before they are looked at', () => {
    const root = packageWith(join('build', 'Release', name));
    const folder = backendPackage(root, 'cuda13', '1.0.0', 'libggml-cuda.so');
    const { asked, reports } = backends(root);
    expect(asked).toHaveLength(1);
    expect(reports.at(-1)).toEqual({
      file: join(folder, 'libggml-cuda.so'),
      loaded: false,
      reason: 'the package is version 1.0.0, node-diffusion is 1.2.3',
    });
  });

  it('that crashed are skipped with the reason, wherever they lie', () => {
    const beside = join('build', 'Release', 'libggml-vulkan.so');
    const root = packageWith(join('build', 'Release', name), beside);
    const { asked, reports } = backends(
      root,
      new Map([
        [join(root, beside), 'it crashed'],
        ['/elsewhere', 'x'],
      ]),
    );
    expect(asked).toEqual([[join(root, 'build', 'Release'), [join(root, beside)]]]);
    expect(reports.at(-1)).toEqual({ file: join(root, beside), loaded: false, reason: 'it crashed' });
  });

  it('are everything that is called so but CPU variants', () => {
    const modules = ['libggml-vulkan.so', 'ggml-cuda.dll', 'libggml-metal.dylib'];
    const root = packageWith(
      ...modules,
      'libggml-cpu-haswell.so',
      'libggml-cpu.so',
      'libnode-diffusion-ggml.so',
      'x.txt',
    );
    expect(modulesOf(root)).toEqual([...modules].sort().map((file) => join(root, file)));
    expect(modulesOf(join(root, 'missing'))).toEqual([]);
  });

  it('have packages as the table of packages says', () => {
    expect(prebuiltTags).toEqual(platforms.map((platform) => platform.tag));
    const names = prebuiltTags.flatMap((one) => [platformPackageName(one), ...backendPackageNames(one)]);
    expect(names).toEqual(platformPackages.map((entry) => entry.name));
    expect(backendPackageName('linux-x64', 'cuda')).toBe('@node-diffusion/linux-x64-cuda13');
    expect(backendPackageName('darwin-arm64', 'vulkan')).toBeUndefined();
    expect(backendPackageName('win32-x64', 'cuda')).toBeUndefined();
  });
});

describe('the advice when nothing loads', () => {
  /** A project that has the package in node_modules; `files` are the project's. */
  function project(files: Readonly<Record<string, string>> = {}): string {
    const folder = mkdtempSync(join(tmpdir(), 'node-diffusion-project-'));
    for (const [file, text] of Object.entries(files)) place(folder, file, text);
    const manifest = 'node_modules/node-diffusion/package.json';
    return dirname(place(folder, manifest, JSON.stringify({ name: 'node-diffusion', version: '1.2.3' })));
  }

  const lock = (...names: string[]): string =>
    JSON.stringify({ packages: Object.fromEntries(names.map((one) => [`node_modules/${one}`, {}])) });

  it('names a lockfile of another system, and adds what it lacks', () => {
    const root = project({ 'package-lock.json': lock('node-diffusion', '@node-diffusion/darwin-arm64') });
    const { hint } = failure({ root });
    expect(hint).toContain(join(root, '../../package-lock.json'));
    expect(hint).toContain('written on another system');
    expect(hint).toMatch(/npm install --save-optional @node-diffusion\/linux-x64@1\.2\.3$/);
  });

  it('speaks the language of the package manager', () => {
    expect(failure({ root: project({ 'pnpm-lock.yaml': "'@node-diffusion/darwin-arm64@1.2.3':" }) }).hint).toContain(
      'pnpm add --save-optional @node-diffusion/linux-x64@1.2.3',
    );
    expect(failure({ root: project({ 'yarn.lock': '"node-diffusion@1":' }) }).hint).toContain(
      'yarn add --optional @node-diffusion/linux-x64@1.2.3',
    );
    expect(failure({ root: project({ 'yarn.lock': '"@node-diffusion/linux-x64@npm:1.2.3":' }) }).hint).toMatch(
      /yarn install --force$/,
    );
  });

  it('knows a node_modules that was copied from another system', () => {
    const root = project({
      'package-lock.json': lock('node-diffusion', '@node-diffusion/linux-x64', '@node-diffusion/darwin-arm64'),
      'node_modules/@node-diffusion/darwin-arm64/package.json': '{}',
      'node_modules/@node-diffusion/linux-x64-vulkan/package.json': '{}',
    });
    expect(failure({ root }).hint).toBe(
      'node_modules comes from another system: it holds the package for darwin-arm64, this is linux-x64. Install here: npm ci',
    );
  });

  it('knows optional dependencies that were left out', () => {
    const root = project({ 'package-lock.json': lock('node-diffusion', '@node-diffusion/linux-x64') });
    expect(failure({ root }).hint).toMatch(
      /left out. Install it: npm install --include=optional node-diffusion@1\.2\.3$/,
    );
  });

  it('tells how to unpack the archive of an Electron application', () => {
    const app = mkdtempSync(join(tmpdir(), 'node-diffusion-app-'));
    const root = join(app, 'app.asar/node_modules/node-diffusion');
    place(root, 'package.json', JSON.stringify({ name: 'node-diffusion', version: '1.2.3' }));
    const manifest = JSON.stringify({ version: '1.2.3' });
    place(app, `app.asar/node_modules/@node-diffusion/${tag}/package.json`, manifest);
    place(app, `app.asar/node_modules/@node-diffusion/${tag}/${name}`);
    const error = failure({ root });
    expect(error.message).toContain('app.asar.unpacked');
    expect(error.message).toContain('inside an .asar archive');
    expect(error.hint).toContain('asarUnpack');
    // Once it is unpacked, it loads from there.
    const path = place(app, `app.asar.unpacked/node_modules/@node-diffusion/${tag}/${name}`);
    expect(load({ root }).path).toBe(path);
  });

  it('names the glibc that is needed and the one that is there', () => {
    const root = packageWith(join('build', 'Release', name));
    const problem = "/lib/libc.so.6: version `GLIBC_2.34' not found (required by node-diffusion.node)";
    const { hint } = failure({ root, glibc: '2.31' }, { [join(root, 'build', 'Release', name)]: problem });
    expect(hint).toContain('needs glibc GLIBC_2.34, this system has glibc 2.31');
    expect(hint).toContain('build:native');
  });

  it('tells of musl, and of a mount without execution', () => {
    expect(failure({ root: packageWith(), tag: 'linuxmusl-x64' }).hint).toMatch(/musl.*Debian image/);
    const root = packageWith(join('build', 'Release', name));
    const problem = 'x.node: failed to map segment from shared object';
    expect(failure({ root }, { [join(root, 'build', 'Release', name)]: problem }).hint).toContain('noexec');
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
