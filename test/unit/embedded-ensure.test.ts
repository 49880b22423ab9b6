import { spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtemp, open, readdir, readFile, rm, stat, truncate, utimes, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DiffusionError } from '../../lib/errors/index.js';
import { packageRoot } from '../../lib/here.js';
import { embeddedDirectory, embeddedFiles, ensureFiles, type MadeFile } from '../../lib/model/embedded/ensure.js';
import { cacheFailure, rethrow } from '../../lib/model/embedded/failure.js';
import { embeddedModelInfo, ensureEmbeddedModel } from '../../lib/model/embedded/index.js';
import { type NarrowWeights, readNarrow } from '../../lib/model/embedded/narrow.js';
import { embeddedName } from '../../lib/model/embedded/pins.js';
import { requireFreeSpace } from '../../lib/model/embedded/store.js';
import { forgetFileSha256 } from '../../lib/model/identity.js';

const cacheBefore = process.env['NODE_DIFFUSION_CACHE'];
let cache: string;

beforeEach(async () => {
  cache = await mkdtemp(join(tmpdir(), 'nd-embedded-'));
  process.env['NODE_DIFFUSION_CACHE'] = cache;
  forgetFileSha256();
});

afterEach(async () => {
  if (cacheBefore === undefined) delete process.env['NODE_DIFFUSION_CACHE'];
  else process.env['NODE_DIFFUSION_CACHE'] = cacheBefore;
  await rm(cache, { recursive: true, force: true });
});

/** The TAESD alone goes through the same steps as both files and takes milliseconds. */
function onlyTaesd(): { directory: string; file: MadeFile<NarrowWeights>; reads: () => number; run: Ensure } {
  const directory = embeddedDirectory();
  const file = embeddedFiles().taesd;
  let count = 0;
  const read = (): Promise<NarrowWeights> => {
    count += 1;
    return readNarrow();
  };
  const run: Ensure = (options) => ensureFiles(directory, [file], read, options);
  return { directory, file, reads: () => count, run };
}
type Ensure = (options?: Parameters<typeof ensureFiles>[3]) => Promise<void>;

describe('ensuring the embedded model', () => {
  it('writes the file once, with progress up to the last byte, and leaves nothing beside it', async () => {
    const { directory, file, reads, run } = onlyTaesd();
    const seen: number[] = [];
    await run({ onProgress: ({ phase, bytes }) => seen.push(phase === 'write' ? bytes : NaN) });
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
    expect(seen.at(-1)).toBe(file.bytes);
    expect(await readdir(directory)).toEqual([`${embeddedName}-taesd.safetensors`]);

    const again: string[] = [];
    await run({ onProgress: ({ phase }) => again.push(phase) });
    expect(reads()).toBe(1);
    expect(again).toEqual([]);
  });

  it('hashes a file whose stamp does not fit, and keeps it when the content is right', async () => {
    const { file, reads, run } = onlyTaesd();
    await run();
    const later = new Date(Date.now() - 5000);
    await utimes(file.path, later, later);
    const phases = new Set<string>();
    await run({ onProgress: ({ phase }) => phases.add(phase) });
    expect([...phases]).toEqual(['verify']);
    expect(reads()).toBe(1);
  });

  it.each([
    [
      'a changed byte',
      async (path: string) => {
        const handle = await open(path, 'r+');
        await handle.write(Buffer.from([0xff]), 0, 1, 1_000_000);
        await handle.close();
      },
    ],
    ['a lost end', (path: string) => truncate(path, 1_000_000)],
    ['a lost file', (path: string) => rm(path)],
  ])('mends %s', async (_what, damage) => {
    const { file, reads, run } = onlyTaesd();
    await run();
    const right = await readFile(file.path);
    await damage(file.path);
    await run();
    expect(reads()).toBe(2);
    expect((await readFile(file.path)).equals(right)).toBe(true);
  });

  it('works once for callers that come together', async () => {
    const { reads, run } = onlyTaesd();
    await Promise.all([run(), run(), run()]);
    expect(reads()).toBe(1);
  });

  it('stops with the reason of the signal and leaves no half file', async () => {
    const { directory, run } = onlyTaesd();
    const reason = new Error('enough');
    const controller = new AbortController();
    const onProgress = (): void => {
      controller.abort(reason);
    };
    await expect(run({ signal: controller.signal, onProgress })).rejects.toBe(reason);
    expect(await readdir(directory)).toEqual([]);
    await run();
    await expect(run({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });

  it('refuses what is not pinned', async () => {
    const { directory, file } = onlyTaesd();
    const wrong = { ...file, sha256: '0'.repeat(64) };
    await expect(ensureFiles(directory, [wrong], () => readNarrow())).rejects.toMatchObject({
      code: 'ERR_MODEL_CORRUPT',
    });
    expect(await readdir(directory)).toEqual([]);
  });

  it('clears away what a killed process left, but not what another one is writing', async () => {
    const { directory, file, run } = onlyTaesd();
    await run();
    const [old, young] = [join(directory, 'old.tmp'), join(directory, 'young.tmp')];
    await Promise.all([writeFile(old, 'x'), writeFile(young, 'x'), rm(file.path)]);
    const past = new Date(Date.now() - 120_000);
    await utimes(old, past, past);
    await run();
    expect((await readdir(directory)).sort()).toEqual([`${embeddedName}-taesd.safetensors`, 'young.tmp']);
  });

  it('clears away at once what a process that is gone was writing', async () => {
    const { directory, file, run } = onlyTaesd();
    await run();
    // The name of the embedded model's file, the writer's process and machine, something random.
    const { pid } = spawnSync(process.execPath, ['--version']);
    const name = (writer: number, host = hostname()): string => `${String(writer)}@${host}.${randomUUID()}.tmp`;
    const gone = `${embeddedName}-taesd.safetensors.${name(pid)}`;
    const here = `${embeddedName}-taesd.safetensors.${name(process.ppid)}`;
    const elsewhere = `${embeddedName}-taesd.safetensors.${name(pid, 'another-machine')}`;
    for (const left of [gone, here, elsewhere]) await writeFile(join(directory, left), 'x');
    await rm(file.path);
    await run();
    expect((await readdir(directory)).sort()).toEqual([`${embeddedName}-taesd.safetensors`, here, elsewhere].sort());
  });

  it.each([
    ['process.exit', 'process.exit(3)', 3],
    ['an uncaught exception', "setImmediate(() => { throw new Error('on purpose'); })", 1],
  ])('leaves nothing when the process ends by %s', async (_way, end, code) => {
    const script = `import { ensureEmbeddedModel } from '${pathToFileURL(join(packageRoot, 'dist/index.js')).href}';
      let ended = false;
      await ensureEmbeddedModel({ onProgress: ({ phase, bytes }) => {
        if (phase !== 'write' || bytes === 0 || ended) return;
        ended = true;
        ${end};
      } });`;
    const child = spawnSync(process.execPath, ['--input-type=module', '-e', script], { env: process.env });
    expect(child.status, String(child.stderr)).toBe(code);
    expect(await readdir(embeddedDirectory())).toEqual([]);
  });

  it('says what to do when the cache directory cannot be used', async () => {
    const blocked = join(cache, 'file');
    await writeFile(blocked, '');
    process.env['NODE_DIFFUSION_CACHE'] = blocked;
    const error: unknown = await ensureEmbeddedModel().catch((e: unknown) => e);
    expect(error).toBeInstanceOf(DiffusionError);
    expect(error).toMatchObject({ code: 'ERR_MODEL_NOT_LOADED' });
    expect((error as DiffusionError).message).toContain('NODE_DIFFUSION_CACHE');
  });

  it('says that the package is damaged when its weights are missing or changed', async () => {
    const path = join(cache, 'narrow.safetensors');
    await expect(readNarrow(path)).rejects.toMatchObject({ code: 'ERR_MODEL_NOT_FOUND' });
    await writeFile(path, 'not these');
    await expect(readNarrow(path)).rejects.toMatchObject({ code: 'ERR_MODEL_CORRUPT' });
  });
});

describe('disk space', () => {
  it('is asked for before anything is written', async () => {
    await expect(requireFreeSpace(cache, 100, () => Promise.resolve(100))).resolves.toBeUndefined();
    const refused = requireFreeSpace(cache, 900e6, () => Promise.resolve(5e6));
    await expect(refused).rejects.toMatchObject({ code: 'ERR_MODEL_NOT_LOADED' });
    await expect(refused).rejects.toThrow(/900 MB are needed and 5 MB are free/);
    await expect(requireFreeSpace(cache, Number.MAX_SAFE_INTEGER)).rejects.toMatchObject({
      code: 'ERR_MODEL_NOT_LOADED',
    });
  });

  it('may be unknown', async () => {
    await expect(requireFreeSpace(cache, 1e18, () => Promise.reject(new Error('no')))).resolves.toBeUndefined();
  });

  it('may run out on the way', () => {
    const full = Object.assign(new Error('ENOSPC'), { code: 'ENOSPC', syscall: 'write' });
    expect(() => rethrow('/there', full)).toThrow(cacheFailure('/there', 'the disk is full').message);
    expect(() => rethrow('/there', new TypeError('a bug'))).toThrow(TypeError);
  });
});

describe('facts of the embedded model', () => {
  it('name its concepts, licence and files, and change nothing', async () => {
    const info = await embeddedModelInfo();
    expect(info.license).toBe('OFL-1.1');
    expect(info.concepts).toContain('red apple');
    expect(new Set(info.concepts).size).toBe(210);
    expect(info.narrow.bytes).toBe((await stat(info.narrow.path)).size);
    expect(info.unpacked).toBe(false);
    expect(await readdir(cache)).toEqual([]);
    expect((await readFile(info.card, 'utf8')).toLowerCase()).toContain('limits');
  });
});
