import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { read } from '../../scripts/package/elf.mjs';
import { type ChildEnd, describeEnd, root, runChild } from '../support/child/run.js';
import { binaryFolder, coreLibraries } from './binary.js';

const cli = join(root, 'dist', 'cli', 'main.js');

// A driver that ends the process is made here with the C compiler, as a library that dies when it is loaded.
describe.runIf(process.platform === 'linux')('a backend whose driver ends the process', () => {
  let folder: string;
  let binary: string;
  let module: string;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'nd-doctor-'));
    for (const name of coreLibraries()) cpSync(join(binaryFolder, name), join(folder, name));
    binary = join(folder, 'node-diffusion.node');
    module = join(folder, 'libggml-vulkan.so');
    compile('void abort(void); __attribute__((constructor)) static void die(void) { abort(); }', module);
    // Beside it one that cannot be loaded at all, and one that is no backend.
    writeFileSync(join(folder, 'libggml-openvino.so'), 'not a library');
    compile('int nothing;', join(folder, 'libggml-nothing.so'));
    writeFileSync(join(folder, 'use.mjs'), use);
  });

  afterAll(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  const use = `
    const { createRuntime } = await import(process.argv[2]);
    const runtime = await createRuntime({ binary: process.argv[3], isolation: process.argv[4] });
    console.log(JSON.stringify({ backend: runtime.backend, backends: runtime.backends }));
    await runtime.dispose();`;

  const start = (cache: string, isolation = 'none'): Promise<ChildEnd> =>
    runChild(join(folder, 'use.mjs'), [join(root, 'dist', 'index.js'), binary, isolation], {
      env: { NODE_DIFFUSION_CACHE: join(folder, cache) },
    });

  it('takes a program with it that never asked doctor', async () => {
    expect((await start('never')).signal).toBe('SIGABRT');
  });

  it('is found by doctor, which lives, and is left alone from then on', async () => {
    const env = { NODE_DIFFUSION_CACHE: join(folder, 'cache') };
    const doctor = await runChild(cli, ['doctor', '--json', '--binary', binary], { env });
    expect(doctor.signal, describeEnd(doctor)).toBeNull();
    const report = JSON.parse(doctor.noise) as {
      ok: boolean;
      backends: { name: string; state: string; reason: string }[];
    };
    expect(report.ok, describeEnd(doctor)).toBe(true);
    const states = Object.fromEntries(report.backends.map((backend) => [backend.name, backend]));
    expect(states.cpu).toMatchObject({ state: 'ready' });
    expect(states.vulkan).toMatchObject({ state: 'failed', reason: expect.stringContaining('SIGABRT') as string });
    expect(states.openvino?.reason).toMatch(/too short|invalid ELF header/);

    for (const isolation of ['none', 'process']) {
      const end = await start('cache', isolation);
      expect(end.code, describeEnd(end)).toBe(0);
      expect(end.lines[0]).toMatchObject({ backend: 'cpu' });
      const backends = end.lines[0]?.backends as { file: string; loaded: boolean; reason: string }[];
      expect(backends.find(({ file }) => file === module)).toMatchObject({ loaded: false });
      const nothing = backends.find(({ file }) => file === join(folder, 'libggml-nothing.so'));
      expect(nothing?.reason).toContain('failed to find ggml_backend_init');
      expect(backends.filter(({ loaded }) => loaded)).toHaveLength(1);
    }
  });

  function compile(source: string, target: string): void {
    const file = `${target}.c`;
    writeFileSync(file, source);
    read(process.env.CC ?? 'cc', ['-shared', '-fPIC', '-o', target, file]);
  }
});
