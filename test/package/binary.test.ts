import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { root } from '../support/child/run.js';
import { binary, binaryFolder, ceiling, compareVersions, coreLibraries, dynamicSection, read } from './binary.js';

// What the oldest system we serve has: Ubuntu 22.04 (glibc 2.35, libstdc++ of GCC 12).
const oldest = { GLIBC: '2.35', GLIBCXX: '3.4.30' };
/** Debian 12. A build on a newer system may ask for more; releases are not built there. */
const releaseGlibc = '2.36';

const system =
  /^(?:libc\.so\.6|libm\.so\.6|libgcc_s\.so\.1|libstdc\+\+\.so\.6|libpthread\.so\.0|libdl\.so\.2|ld-linux[\w-]*\.so\.\d)$/;
const ours = /^libnode-diffusion-[\w-]+\.so$/;

// ELF is Linux's: elsewhere these facts do not exist, so there is nothing to leave out.
describe.runIf(process.platform === 'linux')('our libraries', () => {
  const files = coreLibraries();

  it('are the addon, the two of ggml, and CPU variants', () => {
    expect(files).toContain('node-diffusion.node');
    expect(files).toContain('libnode-diffusion-ggml.so');
    expect(files).toContain('libnode-diffusion-ggml-base.so');
    expect(files.some((name) => name.startsWith('libggml-cpu-'))).toBe(true);
  });

  it.each(files)('%s needs only the C and C++ run time and libraries of ours', (name) => {
    const { needed } = dynamicSection(join(binaryFolder, name));
    expect(needed.filter((library) => !system.test(library) && !ours.test(library))).toEqual([]);
    // What is ours must lie beside it.
    expect(needed.filter((library) => ours.test(library) && !files.includes(library))).toEqual([]);
  });

  it.each(files)('%s looks for libraries beside itself only, and carries no name that another ggml has', (name) => {
    const { runpath, rpath, soname } = dynamicSection(join(binaryFolder, name));
    expect(rpath).toEqual([]);
    expect(runpath).toEqual(['$ORIGIN']);
    expect(soname.filter((own) => !ours.test(own))).toEqual([]);
  });

  it('the addon exports its Node-API entry points and nothing else', () => {
    const symbols = read('nm', ['-D', '--defined-only', binary]).trim().split('\n');
    const names = symbols.map((line) => line.split(' ').at(-1)?.replace(/@.*/, ''));
    expect(names).toContain('napi_register_module_v1');
    expect(
      names.filter((name) => name?.startsWith('napi_') !== true && name?.startsWith('node_api_') !== true),
    ).toEqual([]);
  });

  it('run on the oldest system we serve', () => {
    const host = hostGlibc();
    const strict = compareVersions(host, releaseGlibc) <= 0;
    for (const family of ['GLIBC', 'GLIBCXX'] as const) {
      const highest =
        files
          .map((name) => ceiling(join(binaryFolder, name), family))
          .sort(compareVersions)
          .at(-1) ?? '0';
      process.stdout.write(
        `${family} ceiling: ${highest} (oldest system served: ${oldest[family]}; this host: glibc ${host})\n`,
      );
      expect(compareVersions(highest, '0')).toBeGreaterThan(0);
      const limit = strict ? oldest[family] : family === 'GLIBC' ? host : '99';
      expect(compareVersions(highest, limit), `${family}_${highest} is newer than ${limit}`).toBeLessThanOrEqual(0);
    }
  });

  it.each(files)('%s carries no path of the machine it was built on', (name) => {
    const text = readFileSync(join(binaryFolder, name), 'latin1');
    const found = machineFolders().flatMap((folder) => {
      const at = text.indexOf(folder);
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
