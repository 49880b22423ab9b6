import { describe, expect, it } from 'vitest';
import { createRuntime, type RawImage } from '../../lib/index.js';
import { psnr } from '../parity/psnr.js';
import { expectPicture, only, threads } from '../support/native.js';
import { useScratch } from '../support/scratch.js';
import { draw } from '../support/sdcli/index.js';
import { shapeRequests } from '../support/shapeRequests.js';
import { syntheticBytes, type SyntheticKind, writeSynthetic } from '../support/synthetic/index.js';

/**
 * Whole models of random weights: text encoders, diffusion model, VAE encoder and decoder, beside the CPU backend. The
 * embedded model (pictures.test.ts) has the UNet of SD 1.x; here are its VAE, SDXL's UNet and text encoders in their
 * smallest size, and a DiT.
 */
const kinds = ['sd1-tiny', 'sdxl-vega', 'flux-narrow'] as const satisfies readonly SyntheticKind[];

describe.each(kinds)('synthetic %s', (kind) => {
  const scratch = useScratch(syntheticBytes(kind) * 1.05 + 2 ** 24);

  it('gives the pictures of the CPU backend, and no node falls back', async () => {
    const checkpoint = scratch.path('model.safetensors');
    await writeSynthetic(kind, checkpoint, { seed: 1 });
    const log: string[] = [];
    // One after the other: not every machine holds both.
    const pictures = async (backend: 'cpu' | 'openvino'): Promise<RawImage[]> => {
      const logger = (_level: string, line: string): void => void log.push(line);
      // Each network leaves before the next is compiled.
      const openvino = backend === 'openvino' ? { cacheSize: '1MiB' } : undefined;
      await using runtime = await createRuntime({ backend, threads, openvino, logLevel: 'info', logger });
      const model = await runtime.loadModel({ checkpoint, rng: 'cpu' });
      const results = [];
      for (const mode of ['txt2img', 'img2img'] as const) results.push(only(await draw(model, shapeRequests(mode))));
      return results;
    };
    const wanted = await pictures('cpu');
    const got = await pictures('openvino');
    expect(got).toHaveLength(wanted.length);
    for (const [index, image] of got.entries()) {
      expectPicture(image);
      expect(psnr(image.data, wanted[index]?.data ?? Buffer.of())).toBeGreaterThan(50);
    }
    expect(log.join('\n')).toContain('openvino: compiled');
    expect(log.join('\n')).not.toContain('left to the CPU backend');
  });
});
