import { cpSync, existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ensureEmbeddedModel } from '../../lib/model/index.js';
import { loadAddon, type NativeLoadOptions } from '../../lib/native/index.js';
import { type ChildEnd, describeEnd, runChild, said } from '../support/child/run.js';
import { loadOptions } from '../support/nativeParams.js';

const compiler = process.env.CC ?? 'cc';
const source = `
  #include <stdlib.h>
  __attribute__((constructor)) static void die(void) { abort(); }
  int ggml_backend_score(void) { return 1000; }`;

const openvino = 'libggml-openvino.so';

/** Names that ggml's own search looks for in the working directory and beside the program. */
const wanted = ['x', 'blas', 'cuda', 'vulkan', 'rpc', 'opencl', 'openvino', 'cpu', 'cpu-x64', 'cpu-haswell'];

function hasCompiler(): boolean {
  try {
    execFileSync(compiler, ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    process.stdout.write(`left out: there is no C compiler "${compiler}", which makes the libraries of this test\n`);
    return false;
  }
}

describe.runIf(process.platform === 'linux' && hasCompiler())(
  'libraries that are called as backend modules are',
  () => {
    const binary = loadAddon().path;
    let folder: string;
    let env: NodeJS.ProcessEnv;
    /** Beside the addon there is no CPU module here, which is when the engine would look for one. */
    let bare: string;
    let program: string;

    beforeAll(() => {
      folder = realpathSync(mkdtempSync(join(tmpdir(), 'nd-searched-')));
      const trap = join(folder, 'libggml-x.so');
      writeFileSync(join(folder, 'trap.c'), source);
      execFileSync(compiler, ['-shared', '-fPIC', '-o', trap, join(folder, 'trap.c')]);
      for (const name of wanted.slice(1)) cpSync(trap, join(folder, `libggml-${name}.so`));
      env = { GGML_BACKEND_PATH: trap };
      bare = join(folder, 'bare', 'node-diffusion.node');
      const ours = /^(?:node-diffusion\.node|libnode-diffusion-.*\.so)$/;
      cpSync(dirname(binary), dirname(bare), {
        recursive: true,
        filter: (path) => path === dirname(binary) || ours.test(path.slice(dirname(binary).length + 1)),
      });
      // The folder of the program is searched as well, so Node itself lies among them.
      mkdirSync(join(folder, 'bin'));
      for (const name of wanted) cpSync(trap, join(folder, 'bin', `libggml-${name}.so`));
      program = join(folder, 'bin', 'node');
      cpSync(realpathSync(process.execPath), program);
    });

    afterAll(() => {
      rmSync(folder, { recursive: true, force: true });
    });

    function expectAlive(end: ChildEnd): void {
      expect(end.signal, describeEnd(end)).toBeNull();
      expect(end.code, describeEnd(end)).toBe(0);
    }

    it('deadly when they are loaded', () => {
      const load = `process.dlopen({ exports: {} }, ${JSON.stringify(env.GGML_BACKEND_PATH)})`;
      expect(() => execFileSync(process.execPath, ['-e', load], { stdio: 'ignore' })).toThrow(
        expect.objectContaining({ signal: 'SIGABRT' }) as Error,
      );
    });

    it('left alone in the working directory, beside the program and in GGML_BACKEND_PATH when a picture is made', async () => {
      const end = await runChild('foreign.mjs', [], { cwd: folder, env, program });
      expectAlive(end);
      expect((said(end, 'libraries') as string[]).filter((path) => path.startsWith(folder))).toEqual([]);
    });

    /** Loads the embedded model with the addon of the folder without a CPU module. */
    async function loadBare(device: string, change: Partial<NativeLoadOptions> = {}): Promise<ChildEnd> {
      const { checkpoint, taesd } = await ensureEmbeddedModel();
      const options = JSON.stringify(loadOptions({ checkpoint, taesd }, { device, ...change }));
      const end = await runChild('bare-load.mjs', [bare, options], { cwd: folder, env, program });
      expectAlive(end);
      expect(said(end, 'after')).toEqual(said(end, 'devices'));
      return end;
    }

    it.each(['', 'CPU'])('left alone where no module was loaded: the device "%s" is a typed error', async (device) => {
      expect(said(await loadBare(device), 'problem')).toMatch(/No backend module is loaded/);
    });

    // The engine looks for a CPU module once another one is there and it is not. Needs a module: -DND_OPENVINO=ON.
    it.runIf(existsSync(join(dirname(binary), openvino)))('left alone where no CPU module was loaded', async () => {
      for (const name of [openvino, 'openvino'])
        cpSync(join(dirname(binary), name), join(dirname(bare), name), { recursive: true });
      expect(said(await loadBare('OpenVINO'), 'problem')).toBeNull();
      expect(said(await loadBare(''), 'problem')).toMatch(/No CPU module is loaded/);
      for (const option of ['keepTextEncoderOnCpu', 'keepVaeOnCpu', 'offloadToCpu'] as const)
        expect(said(await loadBare('OpenVINO', { [option]: true }), 'problem'), option).toMatch(
          /No CPU module is loaded/,
        );
    });
  },
);
