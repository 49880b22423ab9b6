import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { describeEnd, root, runChild, said } from '../support/child/run.js';
import { read } from '../../scripts/package/elf.mjs';
import { binary, binaryFolder, coreLibraries } from './binary.js';

const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };

/** Our library of ggml's, as native/cmake/NdEngine.cmake names it. */
function ours(name: string): string {
  return `libnode-diffusion-${name}-${version}.so`;
}

describe.runIf(process.platform === 'linux')('in one process with other native code', () => {
  let folder: string;
  let alone: unknown;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'nd-coresidency-'));
    const end = await runChild('foreign.mjs', []);
    expect(end.code, describeEnd(end)).toBe(0);
    alone = said(end, 'sha256');
    expect(alone).toMatch(/^[0-9a-f]{64}$/);
  });

  afterAll(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  it('a second copy of the addon works side by side, also after the first is disposed', async () => {
    const copy = join(folder, 'second copy');
    for (const name of coreLibraries()) cpSync(join(binaryFolder, name), join(copy, name));
    const other = join(copy, 'node-diffusion.node');
    const end = await runChild('two-copies.mjs', [binary, other], { limit: 120 });
    expect(end.code, describeEnd(end)).toBe(0);
    expect(end.stderr).toBe('');
    const copies = end.lines.filter((line) => 'sha256' in line);
    expect(copies.map((line) => line.binary)).toEqual([binary, other]);
    for (const line of copies) {
      expect(line).toMatchObject({ sha256: alone, failed: [] });
      // The CPU is one device, not one for each copy.
      const devices = line.devices as string[];
      expect(devices.length).toBeGreaterThan(0);
      expect(new Set(devices).size).toBe(devices.length);
    }
    expect(said(end, 'after')).toBe(alone);
  });

  it('another version of this package has a ggml of its own, in libraries of other names', async () => {
    // This version with another number in the names of its libraries, which is what another version is for the loader.
    const other = `${version.slice(0, -1)}${version.endsWith('9') ? '8' : '9'}`;
    const place = join(folder, 'another version');
    const renamed = (text: string): string =>
      text.replaceAll(/(node-diffusion-ggml(?:-base)?-)[\w.-]+(?=\.so)/g, `$1${other}`);
    mkdirSync(place);
    for (const name of coreLibraries()) {
      const bytes = readFileSync(join(binaryFolder, name), 'latin1');
      writeFileSync(join(place, renamed(name)), renamed(bytes), 'latin1');
    }
    const end = await runChild('two-copies.mjs', [binary, join(place, 'node-diffusion.node')], { limit: 120 });
    expect(end.code, describeEnd(end)).toBe(0);
    expect(end.stderr).toBe('');
    const made = end.lines.filter((line) => 'sha256' in line);
    expect(made.map((line) => line.sha256)).toEqual([alone, alone]);
    expect(said(end, 'after')).toBe(alone);
    const libraries = said(end, 'libraries') as string[];
    for (const [where, number] of [
      [binaryFolder, version],
      [place, other],
    ] as const) {
      for (const name of ['ggml', 'ggml-base'])
        expect(libraries).toContain(join(where, `libnode-diffusion-${name}-${number}.so`));
    }
  });

  it("another package's ggml under ggml's own library names does not take our place", async () => {
    // Every function of ggml, each of which ends the process, in libraries with the names that ggml's own build gives.
    const names = [...exportsOf(ours('ggml-base')), ...exportsOf(ours('ggml'))];
    expect(names).toContain('ggml_init');
    expect(names).toContain('ggml_backend_load_all_from_path');
    const traps = names.map((name) => `void ${name}(void) { abort(); }`);
    writeFileSync(join(folder, 'trap.c'), `void abort(void);\n${traps.join('\n')}\n`);
    for (const name of ['ggml-base', 'ggml']) {
      compile('trap.c', `lib${name}.so`, [`-Wl,-soname,lib${name}.so`]);
    }
    const use = 'void *ggml_in_use[] = { (void *)ggml_init, (void *)ggml_backend_load_all_from_path };';
    const entry = 'void *napi_register_module_v1(void *env, void *exports) { (void)env; return exports; }';
    const declarations = 'extern void ggml_init(void);\nextern void ggml_backend_load_all_from_path(void);';
    writeFileSync(join(folder, 'foreign.c'), `${declarations}\n${use}\n${entry}\n`);
    compile('foreign.c', 'foreign.node', ['-L.', '-Wl,--no-as-needed', '-lggml-base', '-lggml', '-Wl,-rpath,$ORIGIN']);

    const end = await runChild('foreign.mjs', [join(folder, 'foreign.node')]);
    expect(end.signal, describeEnd(end)).toBeNull();
    expect(end.code, describeEnd(end)).toBe(0);
    expect(said(end, 'sha256')).toBe(alone);
    const libraries = said(end, 'libraries') as string[];
    for (const name of ['libggml-base.so', 'libggml.so']) expect(libraries).toContain(join(folder, name));
    for (const name of ['ggml-base', 'ggml']) expect(libraries).toContain(join(binaryFolder, ours(name)));
  });

  function exportsOf(name: string): string[] {
    const lines = read('nm', ['-D', '--defined-only', join(binaryFolder, name)])
      .trim()
      .split('\n');
    return lines.flatMap((line) => {
      const [, type, symbol = ''] = line.split(' ');
      return type === 'T' && /^g(?:gml|guf)_\w+$/.test(symbol) ? [symbol] : [];
    });
  }

  function compile(source: string, target: string, flags: readonly string[]): void {
    const line = ['-shared', '-fPIC', '-w', '-fno-builtin', '-o', join(folder, target), join(folder, source)];
    read(process.env.CC ?? 'cc', [...line, ...flags.map((flag) => (flag === '-L.' ? `-L${folder}` : flag))]);
  }
});
