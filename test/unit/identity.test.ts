import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  appendFile,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  realpath,
  rename,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { cacheDir } from '../../lib/model/cacheDir.js';
import { fileSha256, forgetFileSha256, rememberFileSha256 } from '../../lib/model/identity.js';

const cacheBefore = process.env['NODE_DIFFUSION_CACHE'];
let directory: string;
let file: string;

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

/** Written a while ago, as model files are; a file younger than a clock step is not cached. */
async function put(path: string, text: string, secondsAgo = 60): Promise<void> {
  await writeFile(path, text);
  const then = new Date(Date.now() - secondsAgo * 1000);
  await utimes(path, then, then);
}

/** True when the hash came from a cache: nothing was read. */
async function cached(path: string): Promise<boolean> {
  let reads = 0;
  await fileSha256(path, { onProgress: () => (reads += 1) });
  return reads === 0;
}

beforeEach(async () => {
  directory = await realpath(await mkdtemp(join(tmpdir(), 'nd-identity-')));
  process.env['NODE_DIFFUSION_CACHE'] = join(directory, 'cache');
  file = join(directory, 'model.safetensors');
  await put(file, 'content');
  forgetFileSha256();
});

afterEach(async () => {
  if (cacheBefore === undefined) delete process.env['NODE_DIFFUSION_CACHE'];
  else process.env['NODE_DIFFUSION_CACHE'] = cacheBefore;
  await rm(directory, { recursive: true, force: true });
});

describe('identity of a file', () => {
  it('is the SHA-256 of its content, also above one block, and reports every byte', async () => {
    const text = 'abcdefghi'.repeat(300_000);
    await put(file, text);
    const seen: [number, number][] = [];
    await expect(fileSha256(file, { onProgress: (...step) => seen.push(step) })).resolves.toBe(sha256(text));
    expect(seen.at(-1)).toEqual([text.length, text.length]);
    expect(seen.length).toBeGreaterThan(1);
    await put(file, '');
    await expect(fileSha256(file)).resolves.toBe(sha256(''));
  });

  it('is read once, then remembered in memory and on disk', async () => {
    expect(await cached(file)).toBe(false);
    expect(await cached(file)).toBe(true);
    forgetFileSha256();
    expect(await cached(file)).toBe(true);
    await expect(fileSha256(file)).resolves.toBe(sha256('content'));
    await symlink(file, join(directory, 'link'));
    expect(await cached(join(directory, 'link'))).toBe(true);
  });

  it('notices a changed size, a changed time and a replaced file', async () => {
    await fileSha256(file);
    const { atime, mtime } = await stat(file);
    await appendFile(file, '!');
    await utimes(file, atime, mtime);
    await expect(fileSha256(file)).resolves.toBe(sha256('content!'));
    await put(file, 'CONTENT!', 30);
    await expect(fileSha256(file)).resolves.toBe(sha256('CONTENT!'));

    const { atime: atime2, mtime: mtime2 } = await stat(file);
    await writeFile(`${file}.new`, 'Content!');
    await utimes(`${file}.new`, atime2, mtime2);
    await rename(`${file}.new`, file);
    await expect(fileSha256(file)).resolves.toBe(sha256('Content!'));
  });

  it('does not cache a file so young that its time could stand still at the next write', async () => {
    const future = new Date(Date.now() + 60_000);
    await utimes(file, future, future);
    expect(await cached(file)).toBe(false);
    expect(await cached(file)).toBe(false);
  });

  it('takes the word of whoever wrote the file', async () => {
    await rememberFileSha256(file, sha256('content'));
    forgetFileSha256();
    expect(await cached(file)).toBe(true);
  });

  it('does without a cache that is damaged or cannot be written', async () => {
    await fileSha256(file);
    const entries = join(cacheDir(), 'identity');
    for (const damage of ['', '{"path":', 'null', JSON.stringify({ path: file, stamp: 'x', sha256: 'y' })]) {
      for (const name of await readdir(entries)) await writeFile(join(entries, name), damage);
      forgetFileSha256();
      await expect(fileSha256(file)).resolves.toBe(sha256('content'));
    }
    process.env['NODE_DIFFUSION_CACHE'] = file;
    forgetFileSha256();
    await expect(fileSha256(file)).resolves.toBe(sha256('content'));
  });

  it('says what is wrong with a path', async () => {
    const folder = join(directory, 'folder');
    await mkdir(folder);
    for (const [path, words] of [
      [join(directory, 'nothing'), /does not exist/],
      [folder, /is not a file/],
    ] as const) {
      await expect(fileSha256(path)).rejects.toMatchObject({ code: 'ERR_MODEL_NOT_FOUND' });
      await expect(fileSha256(path)).rejects.toThrow(words);
    }
  });

  it('refuses a file that changes while it is read', async () => {
    await put(file, 'x'.repeat(3 << 20));
    let grown = false;
    const onProgress = (): void => {
      if (!grown) void appendFile(file, 'more');
      grown = true;
    };
    await expect(fileSha256(file, { onProgress })).rejects.toMatchObject({ code: 'ERR_MODEL_CORRUPT' });
  });

  it('stops with the reason of the signal', async () => {
    const reason = new Error('enough');
    await expect(fileSha256(file, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    await put(file, 'x'.repeat(3 << 20));
    const controller = new AbortController();
    const onProgress = (): void => {
      controller.abort(reason);
    };
    await expect(fileSha256(file, { signal: controller.signal, onProgress })).rejects.toBe(reason);
  });

  it('survives several processes that write the cache at once', async () => {
    const source = JSON.stringify(fileURLToPath(new URL('../../lib/model/identity.ts', import.meta.url)));
    const script = join(directory, 'child.mjs');
    await build({
      stdin: {
        contents: `
          import { fileSha256, forgetFileSha256 } from ${source};
          for (let i = 0; i < 60; i += 1) {
            forgetFileSha256();
            for (const path of process.argv.slice(2)) console.log(await fileSha256(path));
          }`,
        resolveDir: directory,
      },
      bundle: true,
      platform: 'node',
      format: 'esm',
      target: 'node20',
      outfile: script,
    });
    const files = ['a', 'b', 'c'].map((name) => join(directory, name));
    await Promise.all(files.map((path) => put(path, path)));
    let running = true;
    const children = Promise.all([1, 2, 3].map(() => run(script, files))).finally(() => {
      running = false;
    });
    const entries = join(cacheDir(), 'identity');
    const seen = { whole: 0 };
    while (running) {
      for (const name of await readdir(entries).catch(() => [])) {
        if (name.endsWith('.tmp')) continue;
        const text = await readFile(join(entries, name), 'utf8').catch(() => undefined);
        if (text === undefined) continue;
        const entry = JSON.parse(text) as { path: string; sha256: string };
        expect(entry.sha256).toBe(sha256(entry.path));
        seen.whole += 1;
      }
      // Thrown away again and again, so that the children write most of the time.
      await rm(entries, { recursive: true, force: true }).catch(() => undefined);
    }
    for (const lines of await children) expect(new Set(lines)).toEqual(new Set(files.map(sha256)));
    expect(seen.whole).toBeGreaterThan(0);
  });
});

function run(script: string, files: readonly string[]): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [script, ...files], { stdio: ['ignore', 'pipe', 'inherit'] });
    let text = '';
    child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0) resolve(text.trim().split('\n'));
      else reject(new Error(`exit ${String(code)}`));
    });
  });
}

describe('the cache directory', () => {
  const home = join('/', 'home', 'me');
  it.each([
    ['linux', {}, join(home, '.cache', 'node-diffusion')],
    ['linux', { XDG_CACHE_HOME: '/var/x' }, join('/var/x', 'node-diffusion')],
    ['linux', { XDG_CACHE_HOME: 'relative' }, join(home, '.cache', 'node-diffusion')],
    ['darwin', { XDG_CACHE_HOME: '/var/x' }, join(home, 'Library', 'Caches', 'node-diffusion')],
    ['win32', { LOCALAPPDATA: '/local' }, join('/local', 'node-diffusion')],
    ['win32', {}, join(home, 'AppData', 'Local', 'node-diffusion')],
    ['linux', { NODE_DIFFUSION_CACHE: '/mine', XDG_CACHE_HOME: '/var/x' }, '/mine'],
    ['linux', { NODE_DIFFUSION_CACHE: '' }, join(home, '.cache', 'node-diffusion')],
    ['linux', { NODE_DIFFUSION_CACHE: 'here' }, join(process.cwd(), 'here')],
  ] as const)('on %s with %o is %s', (platform, env, expected) => {
    expect(cacheDir({ platform, env, home })).toBe(expected);
  });
});
