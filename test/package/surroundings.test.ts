import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type LocalRegistry, startRegistry } from '../../scripts/package/registry.mjs';
import { crashText, describeEnd, runChild, said } from '../support/child/run.js';
import { consumer, expectGood, runConsumer } from './consumer.js';
import { Project } from './managers.js';
import { packAll } from './tarball.js';

/** A server as people write it. */
const server = `
  import fastify from 'fastify';
  import { createRuntime } from 'node-diffusion';
  const runtime = await createRuntime({ backend: 'cpu', threads: 1 });
  const model = await runtime.loadModel({ mmap: true });
  const app = fastify();
  app.get('/picture', async ({ query: { prompt, steps } }, reply) => {
    const { images } = await model.txt2img({ prompt, width: 64, height: 64, steps: Number(steps), cfgScale: 1, seed: 1 });
    return reply.type('image/png').send(await images[0].toPng());
  });
  app.setErrorHandler(({ code, message, field }, request, reply) =>
    reply.status(code === 'ERR_INVALID_OPTION' ? 400 : 500).send({ code, field, message }));
  app.addHook('onClose', () => runtime.dispose({ abort: true }));
  process.once('SIGTERM', async () => {
    await app.close();
    console.log(JSON.stringify({ closed: true }));
  });
  console.log(JSON.stringify({ url: await app.listen({ host: '127.0.0.1', port: 0 }) }));`;

interface Answer {
  readonly status: number;
  readonly type: string | null;
  readonly body: Buffer;
}

async function ask(url: string): Promise<Answer> {
  const response = await fetch(url);
  const body = Buffer.from(await response.arrayBuffer());
  return { status: response.status, type: response.headers.get('content-type'), body };
}

describe('an installed package', () => {
  let base: string;
  let registry: LocalRegistry;
  let project: Project;
  let expected: number;

  beforeAll(async () => {
    base = realpathSync(mkdtempSync(join(tmpdir(), 'nd-surroundings-')));
    // Another user must be able to read it.
    chmodSync(base, 0o755);
    registry = await startRegistry(await packAll(), { further: ['fastify'] });
    project = new Project(join(base, 'project'), 'npm', registry.url);
    await project.add('node-diffusion');
    const [made] = await runConsumer(project.write('make.mjs', consumer.esm), project.folder);
    expected = made?.sum ?? 0;
    expect(expected).toBeGreaterThan(0);
  });

  afterAll(async () => {
    await registry.close();
    rmSync(base, { recursive: true, force: true });
  });

  describe('bundled by esbuild', () => {
    it.each(['esm', 'cjs'] as const)('as %s, the program and the package in one file', async (format) => {
      const entry = project.write(
        'bundle-me.mjs',
        consumer.esm.replace(/\n/, '\nasync function main() {') + '} main();',
      );
      const outfile = join(project.folder, 'out', `bundle.${format === 'esm' ? 'mjs' : 'cjs'}`);
      const common = { bundle: true, platform: 'node', target: 'node20.9', logLevel: 'error' } as const;
      const result = await build({ ...common, entryPoints: [entry], outfile, format, metafile: true });
      const inputs = Object.keys(result.metafile.inputs);
      expect(inputs.some((path) => path.includes('node-diffusion/dist/'))).toBe(true);
      const [made] = await runConsumer(outfile, project.folder);
      expect(made?.sum).toBe(expected);
      expect(made?.binary).toContain(join('node_modules', '@node-diffusion'));
    });
  });

  it('in two worker threads at once', async () => {
    const made = await runConsumer(project.write('worker.mjs', consumer.worker), project.folder);
    expect(made.map(({ sum }) => sum)).toEqual([expected, expected]);
  });

  it('in a server of fastify: it draws on request, closes on SIGTERM and ends with 0', async () => {
    await project.add('fastify');
    const asked: Promise<Answer>[] = [];
    const end = await runChild(project.write('server.mjs', server), [], {
      cwd: project.folder,
      env: { NODE_DIFFUSION_BINARY: '' },
      onLine: ({ url }, kill) => {
        if (typeof url !== 'string') return;
        const answers = [1, -1].map((steps) => ask(`${url}/picture?prompt=a%20red%20apple&steps=${String(steps)}`));
        asked.push(...answers);
        void Promise.allSettled(answers).then(() => {
          kill('SIGTERM');
        });
      },
    });
    const [picture, refused] = await Promise.all(asked);
    expectGood(end);
    expect(said(end, 'closed')).toBe(true);
    expect(picture).toMatchObject({ status: 200, type: 'image/png' });
    const { data, info } = await sharp(picture?.body).removeAlpha().raw().toBuffer({ resolveWithObject: true });
    expect([info.width, info.height, info.channels]).toEqual([64, 64, 3]);
    expect([...data].reduce((total, value) => total + value, 0)).toBe(expected);
    expect(refused?.status).toBe(400);
    expect(JSON.parse(String(refused?.body))).toMatchObject({ code: 'ERR_INVALID_OPTION', field: 'steps' });
  });

  it('in a node_modules that may not be written to, with a cache of its own', async () => {
    const restore = readOnly(join(project.folder, 'node_modules'));
    try {
      const cache = open(join(base, 'cache of nobody'));
      const [made] = await runConsumer(join(project.folder, 'make.mjs'), project.folder, {
        ...asNobody(),
        env: { NODE_DIFFUSION_CACHE: cache, HOME: '/nonexistent' },
        args: [join(cache, 'out.png')],
      });
      expect(made?.sum).toBe(expected);
      expect(readdirSync(cache)).not.toEqual([]);
    } finally {
      restore();
    }
  });

  it("with another user's cache says which directory to name", async () => {
    const cache = join(base, 'cache of somebody');
    mkdirSync(cache);
    const restore = readOnly(cache);
    const source = `
      import { createRuntime } from 'node-diffusion';
      const runtime = await createRuntime({ backend: 'cpu' });
      const error = await runtime.loadModel().catch((error) => error);
      console.log(JSON.stringify({ code: error.code, message: error.message }));`;
    const end = await runChild(project.write('cache.mjs', source), [], {
      cwd: project.folder,
      env: { NODE_DIFFUSION_BINARY: '', NODE_DIFFUSION_CACHE: cache, HOME: '/nonexistent' },
      ...asNobody(),
    });
    restore();
    expectGood(end);
    expect(said(end, 'code')).toBe('ERR_MODEL_NOT_LOADED');
    expect(said(end, 'message')).toContain('NODE_DIFFUSION_CACHE');
    expect(readdirSync(cache)).toEqual([]);
  });

  describe.runIf(process.platform === 'linux')('ended in the middle of a job leaves nothing behind', () => {
    const source = `
      import { createRuntime } from 'node-diffusion';
      const [isolation, how] = process.argv.slice(2);
      const runtime = await createRuntime({ backend: 'cpu', threads: 1, isolation });
      const model = await runtime.loadModel();
      const onProgress = ({ phase, step }) => {
        if (phase !== 'sample' || step !== 2) return;
        console.log(JSON.stringify({ started: true, child: runtime.childPid ?? 0 }));
        if (how === 'exit') process.exit(5);
      };
      await model.txt2img({ prompt: 'a red apple', width: 64, height: 64, steps: 1000, seed: 1, onProgress });`;

    const ends = ['SIGINT', 'SIGTERM', 'exit'] as const;
    it.each(ends.flatMap((how) => ['none', 'process'].map((isolation) => [how, isolation] as const)))(
      'by %s, isolation %s',
      async (how, isolation) => {
        const temporary = mkdtempSync(join(base, 'tmp-'));
        const cache = join(base, 'cache');
        // Unpacked by the first of these runs, and the same files from then on.
        const shared = readdirSync('/dev/shm').sort();
        const end = await runChild(project.write('long.mjs', source), [isolation, how], {
          cwd: project.folder,
          env: { NODE_DIFFUSION_BINARY: '', NODE_DIFFUSION_CACHE: cache, TMPDIR: temporary },
          onLine: (_, kill) => {
            if (how !== 'exit') kill(how);
          },
        });
        expect(said(end, 'started'), describeEnd(end)).toBe(true);
        expect(how === 'exit' ? end.code : end.signal, describeEnd(end)).toBe(how === 'exit' ? 5 : how);
        expect(end.stderr).not.toMatch(crashText);
        expect(readdirSync(temporary)).toEqual([]);
        expect(files(cache).filter((name) => /\.(?:tmp|lock|part)/.test(name))).toEqual([]);
        expect(readdirSync('/dev/shm').sort()).toEqual(shared);
        const child = Number(said(end, 'child'));
        if (isolation === 'process') {
          expect(child).toBeGreaterThan(0);
          await gone(child);
        }
      },
    );
  });
});

/** Waits until a process is gone; it has two seconds for it. */
async function gone(pid: number): Promise<void> {
  const alive = (): boolean => existsSync(`/proc/${String(pid)}`);
  for (let i = 0; i < 40 && alive(); i++) await new Promise((resolve) => setTimeout(resolve, 50));
  expect(alive(), `process ${String(pid)} is still there`).toBe(false);
}

function files(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' });
}

/** Root may write everywhere, so as root the program is run as nobody. */
function asNobody(): { uid?: number } {
  return process.getuid?.() === 0 ? { uid: 65534 } : {};
}

/** A folder that everybody may write to. */
function open(folder: string): string {
  mkdirSync(folder, { recursive: true });
  chmodSync(folder, 0o777);
  return folder;
}

/** Takes away the right to write in a folder and its folders; returns what gives it back. */
function readOnly(folder: string): () => void {
  const set = (mode: number): void => {
    chmodSync(folder, mode);
    for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
      if (entry.isDirectory()) chmodSync(join(entry.parentPath, entry.name), mode);
    }
  };
  set(0o555);
  return () => {
    set(0o755);
  };
}
