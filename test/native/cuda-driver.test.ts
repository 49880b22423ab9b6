import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { loadAddon } from '../../lib/native/index.js';
import { runChild, said } from '../support/child/run.js';

// The driver's library has its name and its place in the system's loader on Linux only.
describe.runIf(process.platform === 'linux')('a module of CUDA', () => {
  const folder = mkdtempSync(join(tmpdir(), 'nd-cuda-'));
  afterAll(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  it('is not opened before its driver was looked at, and the reason tells both versions', async () => {
    const drivers = join(folder, 'drivers');
    const modules = join(folder, 'modules');
    for (const path of [drivers, modules]) mkdirSync(path);
    // Neither is a library. Were the module opened first, the reason would be its own.
    writeFileSync(join(drivers, 'libcuda.so.1'), 'no driver');
    writeFileSync(join(modules, 'libggml-cuda.so'), 'no module');
    const script = join(folder, 'look.cjs');
    writeFileSync(
      script,
      `const addon = require(process.argv[2]);
       console.log(JSON.stringify({ reports: addon.loadBackends(process.argv[3]) }));`,
    );
    const end = await runChild(script, [loadAddon({ backends: false }).path, modules], {
      env: { LD_LIBRARY_PATH: drivers },
    });
    expect(end).toMatchObject({ code: 0, stderr: '' });
    const [report] = said(end, 'reports') as { file: string; loaded: boolean; reason: string }[];
    expect(report).toMatchObject({ file: join(modules, 'libggml-cuda.so'), loaded: false });
    expect(report?.reason).toMatch(/^no NVIDIA driver was found \(.*libcuda\.so\.1: /);
    expect(report?.reason).toContain('needs CUDA 13.0 or newer, which is driver 580 or newer');
  });
});
