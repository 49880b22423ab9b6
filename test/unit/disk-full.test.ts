import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { GeneratedImage } from '../../lib/image/index.js';
import { embeddedDirectory, embeddedFiles, ensureFiles } from '../../lib/model/embedded/ensure.js';
import { ensureEmbeddedModel } from '../../lib/model/embedded/index.js';
import { readNarrow } from '../../lib/model/embedded/narrow.js';
import { embeddedName } from '../../lib/model/embedded/pins.js';
import { fileSha256, forgetFileSha256 } from '../../lib/model/identity.js';
import { canLimitFiles, canMount, type SmallDisk, smallDisk, withFileLimit } from '../support/smallDisk.js';

// A test that cannot run here says so; in CI all of them run, or fail.
const inCi = process.env.CI === 'true';

const cacheBefore = process.env.NODE_DIFFUSION_CACHE;
beforeEach(() => {
  forgetFileSha256();
});
afterEach(() => {
  if (cacheBefore === undefined) delete process.env.NODE_DIFFUSION_CACHE;
  else process.env.NODE_DIFFUSION_CACHE = cacheBefore;
});

function cacheIn(directory: string): void {
  process.env.NODE_DIFFUSION_CACHE = directory;
}

/** The lifted TAESD (5 MB) goes through the same steps as both files. */
function liftTaesd(onWrite?: (bytes: number) => void): Promise<void> {
  return ensureFiles(embeddedDirectory(), [embeddedFiles().taesd], () => readNarrow(), {
    onProgress: ({ phase, bytes }) => {
      if (phase === 'write') onWrite?.(bytes);
    },
  });
}

/** Every file below a directory. */
function filesIn(directory: string): string[] {
  const entries = readdirSync(directory, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map(({ name }) => name);
}

function picture(side: number, level = 0): GeneratedImage {
  const data = new Uint8Array(side * side * 3);
  // Noise, so that the file is as large as the pixels.
  for (let i = 0, state = 1 + level; i < data.length; i++) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    data[i] = state >>> 16;
  }
  return new GeneratedImage({
    pixels: { width: side, height: side, channels: 3, data },
    seed: 1,
    parameters: {},
    infotext: '',
  });
}

describe.skipIf(!canMount && !inCi)('a full disk (tmpfs)', () => {
  let disk: SmallDisk;
  beforeEach(() => {
    disk = smallDisk(48);
    cacheIn(disk.directory);
  });
  afterEach(() => {
    disk[Symbol.dispose]();
  });

  it('is seen before the embedded model is lifted', async () => {
    const error: unknown = await ensureEmbeddedModel().catch((e: unknown) => e);
    expect(error).toMatchObject({ code: 'ERR_MODEL_NOT_LOADED' });
    expect((error as Error).message).toMatch(/MB are needed.*NODE_DIFFUSION_CACHE/);
    expect(filesIn(disk.directory)).toEqual([]);
  });

  it('that fills up while lifting leaves no half file, and the next try succeeds', async () => {
    let filled = false;
    const lifting = liftTaesd(() => {
      if (!filled) disk.fill();
      filled = true;
    });
    await expect(lifting).rejects.toMatchObject({ code: 'ERR_MODEL_NOT_LOADED', cause: { code: 'ENOSPC' } });
    expect(filesIn(disk.directory)).toEqual(['ballast']);
    disk.release();
    await liftTaesd();
    expect(filesIn(embeddedDirectory())).toEqual([`${embeddedName}-taesd.safetensors`]);
  });

  it('from the start leaves no lock behind that the next try would wait for', async () => {
    disk.fill();
    await expect(liftTaesd()).rejects.toMatchObject({ code: 'ERR_MODEL_NOT_LOADED', cause: { code: 'ENOSPC' } });
    expect(filesIn(disk.directory)).toEqual(['ballast']);
    disk.release();
    const started = performance.now();
    await liftTaesd();
    expect(performance.now() - started).toBeLessThan(10_000);
  });

  it('keeps the picture that was there before', async () => {
    const path = join(disk.directory, 'picture.png');
    await picture(64).save(path);
    const before = readFileSync(path);
    disk.fill();
    const refused = picture(512, 1).save(path);
    await expect(refused).rejects.toMatchObject({
      code: 'ERR_INVALID_OPTION',
      field: 'path',
      cause: { code: 'ENOSPC' },
    });
    await expect(picture(512).save(join(disk.directory, 'new.png'))).rejects.toThrow('The disk is full');
    expect(filesIn(disk.directory).sort()).toEqual(['ballast', 'picture.png']);
    expect(readFileSync(path).equals(before)).toBe(true);
  });

  it('that is read-only refuses both, in words, and still gives hashes', async () => {
    const path = join(disk.directory, 'picture.png');
    await picture(64).save(path);
    const sha256 = await fileSha256(path);
    disk.makeReadOnly();
    forgetFileSha256();
    await expect(liftTaesd()).rejects.toMatchObject({ code: 'ERR_MODEL_NOT_LOADED', cause: { code: 'EROFS' } });
    await expect(ensureEmbeddedModel()).rejects.toThrow('the file system is read-only');
    await expect(picture(64).save(path)).rejects.toThrow('The file system is read-only');
    expect(await fileSha256(path)).toBe(sha256);
    expect(filesIn(disk.directory).filter((name) => !name.endsWith('.json'))).toEqual(['picture.png']);
  });

  it('that was written before it became read-only serves the embedded model', async () => {
    await liftTaesd();
    disk.makeReadOnly();
    forgetFileSha256();
    await liftTaesd();
  });
});

describe.skipIf(!canLimitFiles && !inCi)('a file that may not grow', () => {
  let scratch: string;
  beforeEach(async () => {
    scratch = await mkdtemp(join(tmpdir(), 'nd-limit-'));
    cacheIn(scratch);
  });
  afterEach(() => rm(scratch, { recursive: true, force: true }));

  it('ends lifting and saving with a typed error and leaves nothing', async () => {
    const path = join(scratch, 'picture.png');
    await writeFile(path, 'before');
    await withFileLimit(1_000_000, async () => {
      await expect(liftTaesd()).rejects.toMatchObject({ code: 'ERR_MODEL_NOT_LOADED', cause: { code: 'EFBIG' } });
      await expect(picture(1024).save(path)).rejects.toMatchObject({
        code: 'ERR_INVALID_OPTION',
        field: 'path',
        cause: { code: 'EFBIG' },
      });
    });
    expect(readFileSync(path, 'utf8')).toBe('before');
    expect(await readdir(embeddedDirectory())).toEqual([]);
    expect(filesIn(scratch)).toEqual(['picture.png']);
  });
});
