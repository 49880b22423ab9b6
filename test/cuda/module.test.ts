import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { packageRoot } from '../../lib/here.js';
import { loadAddon } from '../../lib/native/index.js';
import { ceiling, compareVersions, dynamicSection, read } from '../../scripts/package/elf.mjs';
import { machinePaths } from '../package/binary.js';
import { type ChildEnd, runChild, said } from '../support/child/run.js';

const modules = dirname(loadAddon({ backends: false }).path);
const module = join(modules, 'libggml-cuda.so');
const fakeDriver = join(packageRoot, 'build', 'fake-cuda');
const toolkit = join(packageRoot, 'native', 'vendor', 'cuda', 'lib');
if (!existsSync(module)) throw new Error(`${module} is missing: node scripts/build-cuda.mjs --arch 90-real --quick`);
if (!existsSync(fakeDriver)) throw new Error(`${fakeDriver} is missing: node scripts/build.mjs -DND_BUILD_TESTS=ON`);

const scratch = mkdtempSync(join(tmpdir(), 'nd-cuda-module-'));
afterAll(() => {
  rmSync(scratch, { recursive: true, force: true });
});

/** Asks for the backend in a process of its own, with a driver that offers `version` of CUDA and has no device. */
async function ask(version: number, libraries: string): Promise<ChildEnd> {
  return runChild('cuda-runtime.mjs', [], {
    env: {
      LD_LIBRARY_PATH: fakeDriver,
      ND_FAKE_CUDA_VERSION: String(version),
      ND_FAKE_CUDA_LOG: join(scratch, `${String(version)}.log`),
      NODE_DIFFUSION_CUDA_LIBRARIES: libraries,
    },
  });
}

interface Told {
  readonly error: { readonly code: string; readonly message: string };
  readonly report: { readonly loaded: boolean; readonly reason: string };
  readonly auto: string;
}

function told(end: ChildEnd): Told {
  expect({ code: end.code, signal: end.signal }).toEqual({ code: 0, signal: null });
  return { error: said(end, 'error'), report: said(end, 'report'), auto: said(end, 'auto') } as Told;
}

describe('the module of CUDA', () => {
  it('needs the runtime that lies beside it, cuBLAS, and what the addon needs', () => {
    const { needed, runpath, rpath } = dynamicSection(module);
    const known =
      /^(?:lib(?:c|m|stdc\+\+|gcc_s)\.so\.\d|ld-linux[\w-]*\.so\.\d|libnode-diffusion-ggml-base-[\w.-]+\.so)$/;
    const beyond = needed.filter((library) => !known.test(library)).sort();
    expect(beyond).toEqual(['libcublas.so.13', 'libcudart.so.13']);
    expect({ runpath, rpath }).toEqual({ runpath: ['$ORIGIN'], rpath: [] });
    expect(existsSync(join(modules, 'libcudart.so.13'))).toBe(true);
    const core = join(modules, 'node-diffusion.node');
    for (const family of ['GLIBC', 'GLIBCXX'] as const)
      expect(compareVersions(ceiling([module], family), ceiling([core], family)), family).toBeLessThanOrEqual(0);
  });

  it('exports what ggml asks a module for, and nothing that another copy of this backend in the process would share', () => {
    const lines = read('nm', ['-D', '--defined-only', module]).trim().split('\n');
    expect(lines.map((line) => line.split(' ').slice(1).join(' '))).toEqual(['T ggml_backend_init']);
  });

  it('carries no path of the machine it was built on', () => {
    expect(machinePaths(module)).toEqual([]);
  });

  it('is loaded where the driver is new enough, and finds no device', async () => {
    const { error, report, auto } = told(await ask(13000, toolkit));
    expect(report).toEqual({ loaded: true, reason: '' });
    expect(error).toMatchObject({ code: 'ERR_BACKEND_UNAVAILABLE' });
    expect(error.message).toContain('its module was loaded but found no device');
    expect(auto).toBe('cpu');
    // The CUDA runtime of the module has asked this driver, and no other one.
    expect(readFileSync(join(scratch, '13000.log'), 'utf8')).toContain('cuInit');
  });

  it('is left alone where the driver is too old: the error tells what is there and what is needed', async () => {
    const { error, report, auto } = told(await ask(12080, toolkit));
    expect(report.loaded).toBe(false);
    expect(error.code).toBe('ERR_BACKEND_UNAVAILABLE');
    for (const fact of ['CUDA 12.8', 'CUDA 13.0 or newer', 'driver 580 or newer']) {
      expect(error.message).toContain(fact);
      expect(report.reason).toContain(fact);
    }
    expect(auto).toBe('cpu');
    expect(existsSync(join(scratch, '12080.log'))).toBe(false);
  });

  it('is left alone without cuBLAS, and the error says which library and which variable', async () => {
    const { error } = told(await ask(13000, join(scratch, 'nothing')));
    expect(error.code).toBe('ERR_BACKEND_UNAVAILABLE');
    expect(error.message).toContain('libcublas.so.13: cannot open shared object file');
    expect(error.message).toContain('NODE_DIFFUSION_CUDA_LIBRARIES');
  });
});
