import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { buildId, ceiling, compareVersions, dynamicSection, read, sections } from '../../scripts/package/elf.mjs';
import { root } from '../support/child/run.js';
import { coreLibraries, machineFolders, machinePaths, shipped } from './binary.js';
import { coreName, packed, unpack } from './tarball.js';

// The loader of glibc is one of them: thread-local variables need it.
const system = /^(?:libc\.so\.6|libm\.so\.6|libgcc_s\.so\.1|libstdc\+\+\.so\.6|ld-linux[\w-]*\.so\.\d)$/;
const ours = /^libnode-diffusion-[\w.-]+\.so$/;

// ELF is Linux's: elsewhere these facts do not exist, so there is nothing to leave out.
describe.runIf(process.platform === 'linux')('the binaries of the platform package', async () => {
  const scratch = mkdtempSync(join(tmpdir(), 'nd-binary-'));
  const tarball = await packed(coreName);
  const folder = unpack(tarball.path, scratch);
  const files = coreLibraries(folder);
  const debug = join(root, 'build', 'debug', `${process.platform}-${process.arch}`);

  afterAll(() => {
    rmSync(scratch, { recursive: true, force: true });
  });

  it('are the addon, the two of ggml, and CPU variants, and nothing else is in it', () => {
    for (const name of ['ggml', 'ggml-base'].map((part) => `libnode-diffusion-${part}-${tarball.version}.so`))
      expect(files).toContain(name);
    expect(files).toContain('node-diffusion.node');
    expect(files.some((name) => name.startsWith('libggml-cpu-'))).toBe(true);
    const texts = ['LICENSE', 'README.md', 'THIRD_PARTY_NOTICES.md', 'package.json'];
    expect(tarball.files.map(({ path }) => path).sort()).toEqual([...texts, ...files].sort());
  });

  it.runIf(process.arch === 'x64')('serve processors from SSE4.2 to AMX', () => {
    for (const variant of ['x64', 'sse42', 'sandybridge', 'haswell', 'skylakex', 'zen4', 'sapphirerapids'])
      expect(files).toContain(`libggml-cpu-${variant}.so`);
  });

  it.each(files)('%s needs only the C and C++ run time and libraries of ours', (name) => {
    const { needed } = dynamicSection(join(folder, name));
    expect(needed.filter((library) => !system.test(library) && !ours.test(library))).toEqual([]);
    // What is ours must lie beside it.
    expect(needed.filter((library) => ours.test(library) && !files.includes(library))).toEqual([]);
  });

  it.each(files)('%s looks for libraries beside itself only, and carries no name that another ggml has', (name) => {
    const { runpath, rpath, soname } = dynamicSection(join(folder, name));
    expect(rpath).toEqual([]);
    expect(runpath).toEqual(['$ORIGIN']);
    expect(soname.filter((own) => !ours.test(own))).toEqual([]);
    // Of two versions in one process each has its own.
    expect(soname.filter((own) => !own.endsWith(`-${tarball.version}.so`))).toEqual([]);
  });

  it.each(files.filter((name) => name.startsWith('libggml-cpu-')))('%s gives its CPU away while it waits', (name) => {
    expect(read('nm', ['-D', '--undefined-only', join(folder, name)])).toMatch(/ sched_yield\b/);
  });

  it('the addon exports its Node-API entry points and nothing else', () => {
    const symbols = read('nm', ['-D', '--defined-only', join(folder, 'node-diffusion.node')])
      .trim()
      .split('\n');
    const names = symbols.map((line) => line.split(' ').at(-1)?.replace(/@.*/, ''));
    expect(names).toContain('napi_register_module_v1');
    expect(names.length).toBeLessThan(20);
    expect(
      names.filter((name) => name?.startsWith('napi_') !== true && name?.startsWith('node_api_') !== true),
    ).toEqual([]);
  });

  it('ask for no newer C and C++ library than those that are shipped, and the package names them', () => {
    const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
      config: Record<string, string>;
    };
    for (const family of ['GLIBC', 'GLIBCXX'] as const) {
      const highest = ceiling(
        files.map((name) => join(folder, name)),
        family,
      );
      process.stdout.write(`${family} ceiling: ${highest} (shipped: ${shipped[family]})\n`);
      expect(compareVersions(highest, '0')).toBeGreaterThan(0);
      expect(manifest.config[family.toLowerCase()]).toBe(highest);
      expect(compareVersions(highest, shipped[family]), `${family}_${highest}`).toBeLessThanOrEqual(0);
    }
  });

  it.each(files)('%s is stripped, and its symbols are kept in a file of their own', (name) => {
    const file = join(folder, name);
    const symbols = join(debug, `${name}.debug`);
    expect(sections(file)).not.toContain('symtab');
    expect(sections(file)).toContain('gnu_debuglink');
    expect(existsSync(symbols)).toBe(true);
    expect(sections(symbols)).toContain('symtab');
    expect(buildId(symbols)).toBe(buildId(file));
  });

  it.each(files)('%s carries no path of the machine it was built on', (name) => {
    expect(machinePaths(join(folder, name))).toEqual([]);
  });

  it('a path below the checkout, the home or the temporary folder is found in a binary', () => {
    const file = join(scratch, 'paths');
    for (const place of machineFolders()) {
      writeFileSync(file, `\0\x01${place}a/file.cpp\0/usr/lib/x.c\0`);
      expect(machinePaths(file)).toEqual([`${place}a/file.cpp`]);
    }
    expect(machineFolders().length).toBeGreaterThan(1);
  });
});
