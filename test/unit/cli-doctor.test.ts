import { describe, expect, it } from 'vitest';
import { findBackends } from '../../lib/cli/doctor/backends.js';
import { gatherReport } from '../../lib/cli/doctor/gather.js';
import { reportText } from '../../lib/cli/doctor/text.js';
import { runCli } from '../../lib/cli/run.js';
import { embeddedName } from '../../lib/model/embedded/pins.js';
import type { Diagnosis } from '../../lib/sdk/diagnose.js';

const cpu = {
  name: 'CPU',
  description: 'Some CPU',
  type: 'cpu',
  backend: 'cpu',
  memoryFree: 1e9,
  memoryTotal: 2e9,
} as const;

const healthy: Diagnosis = {
  node: 'v20.9.0',
  platform: 'linux-x64',
  package: '0.1.0',
  binary: '/x/node-diffusion.node',
  attempts: [{ source: 'local build', path: '/x/node-diffusion.node', problem: '' }],
  problem: null,
  versions: {
    package: '0.1.0',
    engine: 'e1',
    engineCommit: 'abc',
    ggml: 'g1',
    ggmlCommit: 'def',
    compiler: 'gcc',
    napi: 9,
  },
  backends: [{ file: '/x/libggml-cpu-haswell.so', loaded: true, reason: '' }],
  devices: [cpu],
  cpuFeatures: { AVX2: true, AVX512: false },
};

const broken: Diagnosis = {
  ...healthy,
  binary: null,
  attempts: [{ source: 'prebuilds', path: '/p/node-diffusion.node', problem: 'no such file' }],
  problem: 'No native binary. Build it: npm run build',
  versions: null,
  backends: [],
  devices: [],
  cpuFeatures: {},
};

const pictures = async () => undefined;
const openvino = {
  version: '2026.1',
  devices: [{ name: 'CPU', description: 'Some CPU', precisions: ['FP32', 'BF16'] }],
};
const probe = async () => ({ problems: [], openvino });

describe('findBackends', () => {
  const find = (file: string, reason: string, platform = 'linux-x64') =>
    findBackends({ backends: [{ file, loaded: reason === '', reason }], devices: [cpu], platform });

  it('tells ready from absent, and what to install', () => {
    const [first, cuda] = find('/x/libggml-cpu-haswell.so', '');
    expect(first).toMatchObject({ name: 'cpu', state: 'ready', advice: '' });
    expect(cuda).toMatchObject({ name: 'cuda', state: 'absent' });
    expect(cuda?.advice).toMatch(/npm install --save-optional @node-diffusion\/linux-x64-cuda13@\d+\.\d+\.\d+$/);
    expect(find('/x/libggml-cpu.so', '', 'darwin-arm64')[1]?.advice).toBe(
      'There is no package of it for darwin-arm64.',
    );
  });

  it('names what provides a missing library', () => {
    const message = 'libcuda.so.1: cannot open shared object file: No such file or directory';
    expect(find('/x/libggml-cuda.so', message)[1]).toMatchObject({
      state: 'failed',
      reason: message,
      advice: 'Install the NVIDIA driver.',
    });
    // As native/engine/cuda_driver.cpp words it.
    const old =
      'the NVIDIA driver offers CUDA 12.8; this backend needs CUDA 13.0 or newer, which is driver 580 or newer';
    expect(find('/x/libggml-cuda.so', old)[1]).toMatchObject({
      state: 'failed',
      reason: old,
      advice: 'Renew the NVIDIA driver.',
    });
    const cublas = find('/x/libggml-cuda.so', 'not found (libcublas.so.13: cannot open shared object file)')[1];
    expect(cublas?.advice).toMatch(/cuBLAS of CUDA 13/);
    const vulkan = find('/x/libggml-vulkan.so', 'libvulkan.so.1: cannot open shared object file')[2];
    expect(vulkan?.advice).toContain('libvulkan1');
    const ours = find('/x/libggml-vulkan.so', 'libnode-diffusion-ggml-base.so: cannot open shared object file')[2];
    expect(ours?.advice).toContain('Keep the whole folder');
  });

  it('tells a module without a device from one that does not load', () => {
    expect(find('/x/libggml-vulkan.so', '')[2]).toMatchObject({ name: 'vulkan', state: 'no-device' });
    expect(find('/x/libggml-vulkan.so', 'not loaded')[2]).toMatchObject({ state: 'failed', reason: 'not loaded' });
  });

  it('says what to do about a driver that crashed and a package of another version', () => {
    const crashed = find('/x/libggml-vulkan.so', 'it ended the process when doctor tried it on 2026-11-28 (SIGSEGV)');
    expect(crashed[2]).toMatchObject({ state: 'failed', advice: expect.stringContaining('doctor again') as string });
    const other = find('/x/libggml-vulkan.so', 'the package is version 1.0.0, node-diffusion is 1.2.3');
    expect(other[2]?.advice).toMatch(/in the version of node-diffusion: npm install --save-optional .*-vulkan@/);
    const old = find('/x/libggml-vulkan.so', 'the package needs glibc 2.38, this system has glibc 2.31');
    expect(old[2]?.advice).toContain('Use a system');
  });
});

describe('doctor', () => {
  it('reports a machine that works', async () => {
    const report = await gatherReport({ diagnose: () => healthy, pictures, probe });
    expect(report).toMatchObject({ ok: true, problems: [], embedded: { name: embeddedName } });
    const text = reportText(report);
    for (const fact of ['v20.9.0', 'abc', 'def', 'AVX2', 'Some CPU', report.cache.path]) expect(text).toContain(fact);
    for (const fact of ['OpenVINO 2026.1', 'FP32 BF16']) expect(text).toContain(fact);
    expect(text).not.toContain('AVX512');
    expect(text.trimEnd().endsWith('All is well.')).toBe(true);
  });

  it('tries the backends before it loads them, and tells what could not be remembered', async () => {
    const order: string[] = [];
    const report = await gatherReport({
      probe: async () => (order.push('probe'), { problems: ['could not be remembered'], openvino: null }),
      diagnose: () => (order.push('diagnose'), healthy),
      pictures,
    });
    expect(order).toEqual(['probe', 'diagnose']);
    expect(report.problems).toEqual(['could not be remembered']);
  });

  it('reports one that does not, with everything that is known', async () => {
    const failing = () => Promise.reject(new Error('weights are gone'));
    const report = await gatherReport({ diagnose: () => broken, pictures: failing, embedded: failing, probe });
    expect(report.ok).toBe(false);
    expect(report.problems).toHaveLength(2);
    const text = reportText(report);
    for (const fact of ['no such file', 'npm run build', 'weights are gone', 'v20.9.0']) expect(text).toContain(fact);
  });

  it('keeps a long name of a place apart from its path', async () => {
    const sources = ['NODE_DIFFUSION_BINARY', 'platform package', 'local build'] as const;
    const attempts = sources.map((source) => ({ source, path: '/p/node-diffusion.node', problem: 'no such file' }));
    const text = reportText(await gatherReport({ diagnose: () => ({ ...broken, attempts }), pictures, probe }));
    for (const source of sources) expect(text).toMatch(new RegExp(`^  ${source} +/p/node-diffusion.node: `, 'm'));
  });

  it('ends with 1 when the addon cannot be loaded', async () => {
    let out = '';
    const output = { isTTY: false, columns: 80, write: (text: string) => void (out += text) };
    const context = {
      stdout: output,
      stderr: output,
      env: {},
      now: () => 0,
      interrupt: () => new AbortController().signal,
      createRuntime: () => Promise.reject(new Error('not needed')),
      benchHost: () => Promise.reject(new Error('not needed')),
    };
    expect(await runCli(['doctor', '--json', '--binary', '/nowhere/node-diffusion.node'], context)).toBe(1);
    expect(JSON.parse(out)).toMatchObject({ ok: false, binary: null, devices: [] });
  });
});
