import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { createRuntime, ensureEmbeddedModel, type GenerateResult, Latent, type Model } from '../../lib/index.js';
import { edge, hashes, threads, tiny } from '../support/native.js';
import { useScratch } from '../support/scratch.js';
import { canMount, smallDisk } from '../support/smallDisk.js';

const scratch = useScratch(2 ** 31);
const namesIn = (directory: string): string[] => readdirSync(join(directory, 'openvino'));
const filesOf = (directory: string): string[] => namesIn(directory).filter((name) => name.endsWith('.graph'));

/** What a runtime of its own gives, whose compiled graphs are in this cache directory and nowhere else, and its log. */
async function withCache<T>(
  directory: string,
  work: (model: Model) => Promise<T>,
  memoryLimit?: number,
): Promise<{ result: T; compiled: number; read: number; ahead: number; warnings: string[] }> {
  const model = await ensureEmbeddedModel();
  const lines: [string, string][] = [];
  vi.stubEnv('NODE_DIFFUSION_CACHE', directory);
  await using runtime = await createRuntime({
    ...{ backend: 'openvino', threads, memoryLimit, logLevel: 'info', openvino: { diskCache: true } },
    logger: (level, line) => void (line.includes('openvino:') && lines.push([level, line])),
  });
  vi.unstubAllEnvs();
  const result = await work(await runtime.loadModel({ checkpoint: model.checkpoint, taesd: model.taesd }));
  const count = (what: RegExp): number => lines.filter(([, line]) => what.test(line)).length;
  const warnings = lines.filter(([level]) => level === 'warn').map(([, line]) => line);
  const read = count(/: read \d+ nodes/);
  return { result, compiled: count(/compiled \d+ nodes/), read, ahead: count(/it was read ahead/), warnings };
}

/** The smallest network alone. */
const decode = async (model: Model): Promise<string[]> => {
  const images = await model.decodeLatent({ latent: Latent.zeros(edge, edge, model.latentSpace) });
  return hashes({ images } as Pick<GenerateResult, 'images'>);
};
const picture = async (model: Model): Promise<string[]> => hashes(await model.txt2img(tiny));

describe('the disk cache', () => {
  it('gives the same picture without compiling anything', async () => {
    const directory = scratch.path('whole');
    const first = await withCache(directory, picture);
    expect(first).toMatchObject({ compiled: 3, read: 0, warnings: [] });
    expect(filesOf(directory)).toHaveLength(3);
    const second = await withCache(directory, picture);
    expect(second).toMatchObject({ compiled: 0, read: 3, warnings: [], result: first.result });
    expect(first.ahead).toBe(0);
    // The UNet, the largest, is read first, and waited for where it is not done.
    expect(second.ahead).toBeGreaterThan(0);
    // Another size of the UNet and of the autoencoder: nothing of what was read ahead stays in its way.
    const wide = (model: Model) => model.txt2img({ ...tiny, width: 2 * edge });
    const other = await withCache(directory, async (model) => hashes(await wide(model)));
    expect(other).toMatchObject({ compiled: 2, read: 1, warnings: [] });
    expect(await withCache(directory, picture)).toMatchObject({ compiled: 0, read: 3, result: first.result });
  });

  it('reads nothing ahead under a memory limit, which knows of jobs only', async () => {
    const directory = scratch.path('limited');
    const limit = 12 * 2 ** 30;
    const first = await withCache(directory, decode, limit);
    expect(namesIn(directory)).toEqual(filesOf(directory));
    expect(await withCache(directory, decode, limit)).toMatchObject({ compiled: 0, read: 1, ahead: 0 });
    expect(await withCache(directory, decode)).toMatchObject({ read: 1, ahead: 0, result: first.result });
    expect(await withCache(directory, decode)).toMatchObject({ read: 1, ahead: 1, result: first.result });
  });

  it('says so and compiles again where a file is damaged or of another version', async () => {
    const directory = scratch.path('damaged');
    const { result } = await withCache(directory, decode);
    const [name = ''] = filesOf(directory);
    const file = join(directory, 'openvino', name);
    const whole = readFileSync(file);
    const spoil = (change: (bytes: Buffer) => Buffer): void => {
      writeFileSync(file, change(Buffer.from(whole)));
    };
    for (const change of [
      (bytes: Buffer) => bytes.subarray(0, bytes.length / 2),
      (bytes: Buffer) => Buffer.from(bytes.map((byte, index) => (index === bytes.length - 99 ? byte ^ 1 : byte))),
      () => Buffer.from('not a graph'),
    ]) {
      spoil(change);
      const again = await withCache(directory, decode);
      expect(again).toMatchObject({ compiled: 1, read: 0, result });
      expect(again.warnings.join()).toContain('is not used');
      expect(statSync(file).size).toBe(whole.length);
      expect(await withCache(directory, decode)).toMatchObject({ compiled: 0, read: 1, warnings: [], result });
    }
  });

  it.skipIf(!canMount)('does without a disk that is full or read-only, and leaves no half file', async () => {
    const { result } = await withCache(scratch.path('plain'), decode);
    using disk = smallDisk(4);
    disk.fill();
    const full = await withCache(disk.directory, decode);
    expect(full).toMatchObject({ compiled: 1, result });
    expect(full.warnings.join()).toContain('not written to the disk cache');
    disk.release();
    expect(readdirSync(disk.directory).flatMap((name) => (name === 'openvino' ? filesOf(disk.directory) : []))).toEqual(
      [],
    );
    disk.makeReadOnly();
    const fixed = await withCache(disk.directory, decode);
    expect(fixed).toMatchObject({ compiled: 1, result });
    expect(fixed.warnings.join()).toContain('not written to the disk cache');
  });
});
