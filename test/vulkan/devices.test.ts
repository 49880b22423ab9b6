import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createRuntime } from '../../lib/index.js';
import { packageRoot } from '../../lib/here.js';
import { loadAddon } from '../../lib/native/index.js';
import { describeEnd, runChild, said } from '../support/child/run.js';
import { failure } from '../support/native.js';
import { useScratch } from '../support/scratch.js';
import { vulkanRuntime } from '../support/vulkan.js';

const scratch = useScratch(512 * 2 ** 20);
const layers = join(packageRoot, 'build', 'vulkan-layers');

interface Report {
  readonly ok: boolean;
  readonly devices: readonly { readonly name: string; readonly backend: string; readonly memoryTotal: number }[];
  readonly backends: readonly { readonly name: string; readonly state: string; readonly reason: string }[];
}

function doctor(
  env: Readonly<Record<string, string>> = {},
  ...args: string[]
): { report: Report; status: number | null } {
  const { stdout, status } = spawnSync(
    process.execPath,
    [join(packageRoot, 'dist/cli/main.js'), 'doctor', '--json', ...args],
    { env: { ...process.env, ...env }, encoding: 'utf8' },
  );
  return { report: JSON.parse(stdout) as Report, status };
}

function vulkanIn(report: Report): Report['backends'][number] | undefined {
  return report.backends.find(({ name }) => name === 'vulkan');
}

describe('Vulkan devices', () => {
  it('are chosen by name, index and memory', async () => {
    await using first = await vulkanRuntime();
    const { device } = first;
    expect(device).toMatchObject({ backend: 'vulkan', name: 'Vulkan0' });
    const word = device.description.split(' ')[0] ?? '';
    for (const choice of ['vulkan0', word, 0, { index: 0 }, { memory: 1 }, { name: word, memory: '1MiB' }]) {
      await using runtime = await vulkanRuntime({ device: choice });
      expect(runtime.device.name).toBe('Vulkan0');
    }
    for (const choice of ['Vulkan77', 77, { memory: 2 ** 50 }]) {
      const error = await failure(createRuntime({ backend: 'vulkan', device: choice }));
      expect(error).toMatchObject({ code: 'ERR_INVALID_OPTION', field: 'device' });
      expect(error.message).toContain(`0: Vulkan0 (${device.description}`);
    }
  });

  it('are listed by doctor', () => {
    const { report, status } = doctor();
    expect(status).toBe(0);
    expect(report.devices).toContainEqual(expect.objectContaining({ name: 'Vulkan0', backend: 'vulkan' }));
    expect(report.backends).toContainEqual(expect.objectContaining({ name: 'vulkan', state: 'ready' }));
  });

  it('whose driver crashes are a finding of doctor, which lives, and are left alone until it finds them well', () => {
    const layer = { VK_LAYER_PATH: layers, VK_INSTANCE_LAYERS: 'VK_LAYER_ND_fault' };
    const cache = { NODE_DIFFUSION_CACHE: scratch.path('cache') };
    const broken = doctor({ ...cache, ...layer, ND_VULKAN_FAULT: 'crash' });
    expect(broken.status).toBe(0); // the CPU is there
    expect(broken.report.ok).toBe(true);
    expect(vulkanIn(broken.report)).toMatchObject({
      state: 'failed',
      reason: expect.stringContaining('SIGABRT') as string,
    });
    expect(broken.report.devices.map(({ backend }) => backend)).toEqual(['cpu']);
    expect(vulkanIn(doctor({ ...cache, ...layer }).report)).toMatchObject({ state: 'ready' });
  });

  it('that no driver offers are told apart from a module that does not load', () => {
    const none = doctor({ VK_ICD_FILENAMES: '/nowhere.json', VK_DRIVER_FILES: '/nowhere.json' });
    expect(vulkanIn(none.report)).toMatchObject({
      state: 'failed',
      reason: expect.stringContaining('ErrorIncompatibleDriver') as string,
    });
    expect(none.status).toBe(0); // the CPU is there
    expect(none.report.devices.map(({ backend }) => backend)).toEqual(['cpu']);
  });

  it('need libvulkan.so.1: without it the module is told as missing with its reason, and the CPU works', async () => {
    // A copy of what is built, in which the module asks for a loader that no machine has.
    const from = dirname(loadAddon({ backends: false }).path);
    const to = scratch.path('without');
    mkdirSync(to);
    const names = readdirSync(from).filter((name) => /\.(so|node)$/.test(name) && !name.includes('openvino'));
    for (const name of names) copyFileSync(join(from, name), join(to, name));
    const module = join(to, 'libggml-vulkan.so');
    const renamed = spawnSync('sed', ['-i', 's/libvulkan\\.so\\.1/libvulkaX.so.1/', module], { encoding: 'utf8' });
    expect(renamed.status).toBe(0);
    const binary = join(to, 'node-diffusion.node');
    // In a process of its own: here the libraries of the build are loaded, whose module works.
    const source = `
      const { createRuntime } = await import(process.argv[2]);
      const binary = process.argv[3];
      const error = await createRuntime({ backend: 'vulkan', binary }).catch((error) => error);
      console.log(JSON.stringify({ code: error.code, field: error.field, message: error.message }));
      const runtime = await createRuntime({ backend: 'cpu', binary });
      console.log(JSON.stringify({ backends: runtime.backends }));
      await runtime.dispose();`;
    writeFileSync(join(to, 'use.mjs'), source);
    const end = await runChild(join(to, 'use.mjs'), [join(packageRoot, 'dist', 'index.js'), binary]);
    expect(end.code, describeEnd(end)).toBe(0);
    expect(end.lines[0]).toMatchObject({ code: 'ERR_BACKEND_UNAVAILABLE', field: 'backend' });
    expect(said(end, 'message')).toContain('libvulkaX.so.1: cannot open shared object file');
    expect(said(end, 'backends')).toContainEqual(expect.objectContaining({ file: module, loaded: false }));
    const { report } = doctor({}, '--binary', binary);
    expect(report.backends).toContainEqual(expect.objectContaining({ name: 'vulkan', state: 'failed' }));
  });
});
