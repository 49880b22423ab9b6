import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { DiffusionError } from '../../lib/errors/index.js';
import { platformPackages, platforms } from '../../scripts/package/table.mjs';
import { modulesOf } from '../../lib/native/backends.js';
import { unpacked } from '../../lib/native/candidates.js';
import { systemLibraries } from '../../lib/native/libraries.js';
import {
  backendPackageName,
  backendPackageNames,
  platformPackageName,
  prebuiltTags,
} from '../../lib/native/packages.js';
import { loadAddon } from '../../lib/native/load.js';
import { platformTag } from '../../lib/native/platform.js';
import { FakeAddon } from '../support/fakeAddon.js';
import { failure, load, name, packageWith, place, platformPackage, tag } from '../support/loader.js';

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
    expect(error.hint).toBe('Install both in one version: npm install --include=optional node-diffusion@1.2.3');
  });

  it('refuses a platform package that needs newer libraries, before it is loaded', () => {
    const old = { libraries: { glibc: '2.31', glibcxx: '3.4.28' } };
    const tried: string[] = [];
    const options = { ...old, require: (path: string) => void tried.push(path) };
    const root = packageWith();
    platformPackage(root, '1.2.3', { glibc: '2.34', glibcxx: '3.4.30' });
    const error = failure({ root, ...options });
    expect(error.message).toContain('needs glibc 2.34, this system has glibc 2.31');
    expect(error.hint).toMatch(/The binary needs glibc 2\.34, this system has glibc 2\.31\..* build:native/);
    expect(tried).toEqual([]);
    // glibc is new enough, and 2.4 is older than 2.31.
    platformPackage(root, '1.2.3', { glibc: '2.4', glibcxx: '3.4.30' });
    expect(failure({ root, ...options }).hint).toMatch(
      /needs libstdc\+\+ with GLIBCXX_3\.4\.30, this system has libstdc\+\+ with GLIBCXX_3\.4\.28/,
    );
    // What is not known speaks against nothing; nor does a package that says nothing.
    expect(load({ root, libraries: { glibc: '', glibcxx: '' } }).path).toContain('node_modules');
    platformPackage(root, '1.2.3');
    expect(load({ root, ...old }).path).toContain('node_modules');
  });

  it.each([
    ['libvulkan.so.1: cannot open shared object file: No such file or directory', 'libvulkan.so.1'],
    ["/lib/libstdc++.so.6: version `GLIBCXX_3.4.32' not found (required by x.node)", 'GLIBCXX_3.4.32'],
    ["/lib/libc.so.6: version `GLIBC_2.38' not found", 'glibc 2.38'],
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

  it('that need newer libraries are refused with the reason, before they are looked at', () => {
    const root = packageWith(join('build', 'Release', name));
    const folder = `node_modules/@node-diffusion/${tag}-vulkan`;
    const config = { glibc: '999.9' };
    place(root, `${folder}/package.json`, JSON.stringify({ version: '1.2.3', config }));
    place(root, `${folder}/libggml-vulkan.so`);
    const fake = new FakeAddon();
    const { backends: reports } = loadAddon({
      ...{ root, tag, env: {}, require: () => fake.addon },
      libraries: { glibc: '2.36', glibcxx: '3.4.30' },
    });
    expect(reports.at(-1)).toMatchObject({
      loaded: false,
      reason: 'the package needs glibc 999.9, this system has glibc 2.36',
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
      'libnode-diffusion-ggml-1.2.3.so',
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

  it.runIf(process.platform === 'linux')('tells the C libraries, and leaves the settings of reports alone', () => {
    const { glibc, glibcxx } = systemLibraries();
    // Of a program that uses us, reports are its own.
    expect((process.report as { excludeNetwork?: boolean }).excludeNetwork ?? false).toBe(false);
    const { header, sharedObjects } = process.report.getReport() as unknown as {
      header: { glibcVersionRuntime?: string };
      sharedObjects: string[];
    };
    expect(glibc).toBe(header.glibcVersionRuntime ?? '');
    const file = sharedObjects.find((path) => path.includes('libstdc++.so'));
    const symbols = file === undefined ? '' : readFileSync(file, 'latin1');
    // It has the symbols of that version, and none of the next.
    const [, minor = '0'] = /^3\.4\.(\d+)$/.exec(glibcxx) ?? [];
    expect([minor, String(Number(minor) + 1)].map((one) => symbols.includes(`GLIBCXX_3.4.${one}\0`))).toEqual([
      file !== undefined,
      false,
    ]);
  });
});
