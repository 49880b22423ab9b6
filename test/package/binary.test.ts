import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { buildId, ceiling, compareVersions, dynamicSection, read, sections } from '../../scripts/package/elf.mjs';
import { root } from '../support/child/run.js';
import { coreLibraries } from './binary.js';
import { coreName, packed, unpack } from './tarball.js';

// What the oldest system we serve has: Ubuntu 22.04 (glibc 2.35, libstdc++ of GCC 12).
const oldest = { GLIBC: '2.35', GLIBCXX: '3.4.30' };
/** Debian 12. A build on a newer system may ask for more; releases are not built there. */
const releaseGlibc = '2.36';

const system =
  /^(?:libc\.so\.6|libm\.so\.6|libgcc_s\.so\.1|libstdc\+\+\.so\.6|libpthread\.so\.0|libdl\.so\.2|ld-linux[\w-]*\.so\.\d)$/;
const ours = /^libnode-diffusion-[\w-]+\.so$/;

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
    for (const name of ['node-diffusion.node', 'libnode-diffusion-ggml.so', 'libnode-diffusion-ggml-base.so'])
      expect(files).toContain(name);
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

  it('run on the oldest system we serve, which the package names', () => {
    const host = hostGlibc();
    const strict = compareVersions(host, releaseGlibc) <= 0;
    const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
      config: Record<string, string>;
    };
    for (const family of ['GLIBC', 'GLIBCXX'] as const) {
      const all = files.map((name) => join(folder, name));
      const highest = ceiling(all, family);
      process.stdout.write(
        `${family} ceiling: ${highest} (oldest system served: ${oldest[family]}; this host: glibc ${host})\n`,
      );
      expect(compareVersions(highest, '0')).toBeGreaterThan(0);
      expect(manifest.config[family.toLowerCase()]).toBe(highest);
      const limit = strict ? oldest[family] : family === 'GLIBC' ? host : '99';
      expect(compareVersions(highest, limit), `${family}_${highest} is newer than ${limit}`).toBeLessThanOrEqual(0);
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
    const text = readFileSync(join(folder, name), 'latin1');
    const found = machineFolders().flatMap((place) => {
      const at = text.indexOf(place);
      return at < 0 ? [] : [text.slice(at, at + 120).replace(/\0.*/s, '')];
    });
    expect(found).toEqual([]);
  });
});

/** The checkout, as a path that files lie below. */
function machineFolders(): string[] {
  return [`${root.replace(/\/$/, '')}/native/`, `${root.replace(/\/$/, '')}/build/`];
}

function hostGlibc(): string {
  const report = process.report.getReport() as unknown as { header: { glibcVersionRuntime?: string } };
  return report.header.glibcVersionRuntime ?? '0';
}
