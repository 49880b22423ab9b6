import { describe, expect, it } from 'vitest';
import { MemoryLedger } from '../../lib/memory/index.js';
import type { NativeMeasureParams } from '../../lib/native/index.js';
import { encodePrompt } from '../../lib/pipeline/encoding.js';
import { estimateRequest } from '../../lib/pipeline/estimate.js';
import { runMode } from '../../lib/pipeline/modes.js';
import { sampleLatent } from '../../lib/pipeline/sampleLatent.js';
import { largestThatFits, tileChoices } from '../../lib/pipeline/tiles.js';
import { fakePipeline } from '../support/fakeModel.js';
import { until } from '../support/fakeAddon.js';

const mib = 2 ** 20;
const request = { prompt: 'a', width: 512, height: 512, steps: 1, seed: 1 };

/** A VAE that takes 16 KiB a cell, a diffusion model that takes 50 MiB. */
function memory(params: NativeMeasureParams) {
  const cells = (params.width / 8) * (params.height / 8);
  const { tileSizeX: tile, enabled } = params.decodeTiling;
  return {
    ...(params.prompts.length > 0 && params.sample ? { diffusion: { graph: 50 * mib, work: mib } } : {}),
    ...(params.decode ? { vaeDecode: { graph: (enabled ? tile * tile : cells) * 16 * 1024, work: 0 } } : {}),
  };
}

function limited(limit: number | undefined, of = memory) {
  const made = fakePipeline({ memory: of });
  const ledger = new MemoryLedger({ limit, available: () => 2 ** 40, rss: () => 0 });
  return { fake: made.fake, model: { ...made.model, memory: { ...made.model.memory, ledger } } };
}

describe('the memory of a job', () => {
  it('is estimated by part; a shape is measured once', async () => {
    const { fake, model } = limited(undefined);
    const estimate = await estimateRequest(model, request);
    expect(estimate).toMatchObject({
      weights: 350,
      limit: null,
      fits: true,
      tileSize: null,
      vaeEncode: 0,
      previews: 0,
    });
    expect(estimate.vaeDecode).toBeGreaterThanOrEqual(64 * mib);
    expect(estimate.job).toBeGreaterThanOrEqual(estimate.vaeDecode + estimate.images);
    expect(estimate.peak).toBe(estimate.weights + estimate.job);
    const calls = fake.of('measure').length;
    await estimateRequest(model, { ...request, seed: 2, steps: 9 });
    expect(fake.of('measure')).toHaveLength(calls);
    await estimateRequest(model, { ...request, width: 256 });
    expect(fake.of('measure').length).toBeGreaterThan(calls);
    expect(fake.of('sample')).toHaveLength(0);
  });

  it('that encodes a prompt counts no sampling', async () => {
    const { fake, model } = limited(30 * mib);
    await expect(runMode(model, 'txt2img', request)).rejects.toMatchObject({ code: 'ERR_OUT_OF_MEMORY' });
    const conditioning = await encodePrompt(model, { prompt: 'a', width: 512, height: 512 });
    expect(fake.of('encodePrompt')).toHaveLength(2);
    conditioning.dispose();
  });

  it('that samples with given conditioning counts no text encoder', async () => {
    const { fake, model } = limited(80 * mib, (params) => ({
      ...(params.prompts.length > 0 ? { textEncoder: { graph: 100 * mib, work: 0 } } : {}),
      ...(params.sample ? { diffusion: { graph: 50 * mib, work: mib } } : {}),
    }));
    await expect(runMode(model, 'txt2img', request)).rejects.toMatchObject({ code: 'ERR_OUT_OF_MEMORY' });
    const { model: roomy } = limited(undefined);
    const conditioning = await encodePrompt({ ...roomy, cache: model.cache, native: model.native }, { prompt: 'a' });
    await sampleLatent(model, { conditioning, steps: 1, seed: 1, width: 64, height: 64 });
    expect(fake.of('sample')).toHaveLength(1);
    conditioning.dispose();
  });

  it('rejects with the reason of its signal', async () => {
    const reason = new Error('enough');
    await expect(
      estimateRequest(limited(undefined).model, { ...request, signal: AbortSignal.abort(reason) }),
    ).rejects.toBe(reason);
  });

  it('that fits decodes the whole picture', async () => {
    const { fake, model } = limited(200 * mib);
    const { warnings } = await runMode(model, 'txt2img', request);
    expect(warnings).toEqual([]);
    expect(fake.of('decodeLatent')[0]?.params.tiling.enabled).toBe(false);
    expect(fake.of('decodeLatent')[0]?.params.memoryBudget).toBeGreaterThan(64 * mib);
  });

  it('that does not decodes in the largest tiles that fit, and says so', async () => {
    const { fake, model } = limited(69 * mib);
    const { warnings, images } = await runMode(model, 'txt2img', request);
    const used = fake.of('decodeLatent')[0]?.params.tiling;
    expect(used).toMatchObject({ enabled: true, tileSizeX: 56, tileSizeY: 56 });
    expect(warnings).toMatchObject([{ code: 'tiled' }]);
    expect(images[0]?.parameters).toMatchObject({ tiling: { tileSize: { x: 56, y: 56 } } });
    const smaller = limited(59 * mib);
    await runMode(smaller.model, 'txt2img', request);
    expect(smaller.fake.of('decodeLatent')[0]?.params.tiling.tileSizeX).toBeLessThan(56);
  });

  it('keeps an explicit tiling, and is refused when that does not fit', async () => {
    const { fake, model } = limited(69 * mib);
    const refused = runMode(model, 'txt2img', { ...request, tiling: false });
    await expect(refused).rejects.toMatchObject({ code: 'ERR_OUT_OF_MEMORY' });
    await expect(refused).rejects.toThrow(/VAE decode 6\d MiB.*tiling: 'auto'.*smaller: 384x384/);
    expect(fake.of('encodePrompt')).toHaveLength(0);
  });

  it('offers only what helps: tiles do not make a diffusion model smaller', async () => {
    const refused = runMode(limited(40 * mib).model, 'txt2img', request);
    await expect(refused).rejects.toMatchObject({ code: 'ERR_OUT_OF_MEMORY' });
    await expect(refused).rejects.toThrow(/memoryLimit \(40 MiB\) leaves 40 MiB.*diffusion model 5\d MiB/);
    await expect(refused).rejects.not.toThrow(/tiling|smaller/);
  });

  it('is given back: after a refusal, an abort and a failure the next one runs', async () => {
    const { fake, model } = limited(130 * mib);
    const { ledger } = model.memory;
    const free = ledger.available('CPU');
    fake.hold.add('sample');
    const failing = runMode(model, 'txt2img', request);
    await until(() => fake.of('sample').length === 1);
    expect(ledger.available('CPU')).toBeLessThan(free);
    fake.of('sample')[0]?.fail('ERR_ENGINE', 'broken');
    await expect(failing).rejects.toMatchObject({ code: 'ERR_ENGINE' });
    const controller = new AbortController();
    const aborted = runMode(model, 'txt2img', { ...request, signal: controller.signal });
    await until(() => fake.of('sample').length === 2);
    controller.abort();
    await expect(aborted).rejects.toBe(controller.signal.reason);
    fake.hold.clear();
    await runMode(model, 'txt2img', request);
    expect(ledger.available('CPU')).toBe(free);
  });

  it('two models of a runtime share the budget: the second job waits', async () => {
    const { fake, model } = limited(130 * mib);
    const other = { ...fakePipeline({ memory }).model, memory: { ...model.memory } };
    fake.hold.add('sample');
    const first = runMode(model, 'txt2img', request);
    await until(() => fake.of('sample').length === 1);
    let done = false;
    const second = runMode(other, 'txt2img', request).then(() => (done = true));
    for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
    expect(done).toBe(false);
    fake.of('sample')[0]?.release();
    await Promise.all([first, second]);
  });
});

describe('tiles', () => {
  it('are tried from large to small, in steps of 8 cells', () => {
    expect(tileChoices(512, 384, 8).map(({ tileSizeX }) => tileSizeX)).toEqual([56, 48, 40, 32, 24, 16]);
    expect(tileChoices(128, 128, 8)).toEqual([]);
  });

  it('the largest that fits is found', async () => {
    const choices = [9, 7, 5, 3, 1];
    for (const most of [10, 7, 6, 1, 0]) {
      const found = await largestThatFits(choices, (size) => Promise.resolve(size <= most));
      expect(found).toBe(choices.find((size) => size <= most));
    }
  });
});
