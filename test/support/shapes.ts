import { beforeAll, describe, expect, it } from 'vitest';
import { createRuntime, type Model } from '../../lib/index.js';
import { expectPicture, tiny } from './native.js';
import { useScratch } from './scratch.js';
import { draw, drawWithSdCli, expectSameBytes, type ParityLoad } from './sdcli/index.js';
import { type SyntheticKind, syntheticTensors, writeSynthetic } from './synthetic/index.js';

export interface ShapeCase {
  readonly kind: SyntheticKind;
  /** The engine's display name. */
  readonly architecture: string;
  readonly latentChannels: number;
  /** Keeps the larger kinds within 12 GB. */
  readonly weightType?: 'q8_0' | 'q4_0';
}

const bytesPerWeight = 2;

/** Writes the kind with seeded weights, loads it, draws 64x64 twice over two seeds, and compares with sd-cli. */
export function shapeSuite({ kind, architecture, latentChannels, weightType }: ShapeCase): void {
  describe(`synthetic ${kind}`, () => {
    const weights = syntheticTensors(kind).reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
    const scratch = useScratch(weights * bytesPerWeight * 1.1);
    let [model, load]: [Model?, ParityLoad?] = [];

    beforeAll(async () => {
      const checkpoint = scratch.path(`${kind}.safetensors`);
      await writeSynthetic(kind, checkpoint, { seed: 1 });
      load = { checkpoint, rng: 'cpu', threads: 2, mmap: true, ...(weightType === undefined ? {} : { weightType }) };
      const runtime = await createRuntime({ backend: 'cpu' });
      model = await runtime.loadModel(load);
      return () => runtime.dispose({ abort: true });
    });

    const loaded = (): { model: Model; load: ParityLoad } => {
      if (model === undefined || load === undefined) throw new Error('The model was not loaded');
      return { model, load };
    };

    it('is recognised, with every tensor of every component', () => {
      const { info } = loaded().model;
      expect(info.architecture).toBe(architecture);
      expect(info.latentChannels).toBe(latentChannels);
      expect(info.components.map(({ name }) => name)).toEqual(['textEncoder', 'diffusionModel', 'vae']);
      for (const component of info.components) {
        expect(component.tensors).toBeGreaterThan(0);
        expect(component.bytes).toBeGreaterThan(0);
      }
      expect(info.bytes).toBe(info.components.reduce((sum, { bytes }) => sum + bytes, 0));
    });

    it('draws the bytes of sd-cli, another seed others', async () => {
      const request = { ...tiny, negativePrompt: '', schedule: 'discrete' } as const;
      const ours = await draw(loaded().model, request);
      expect(ours.images).toHaveLength(1);
      for (const image of ours.images) expectPicture(image, request.width, request.height);
      expectSameBytes(ours.images, await drawWithSdCli(scratch, loaded().load, request));
      const other = await draw(loaded().model, { ...request, seed: 2 });
      expect(Buffer.from(other.images[0]?.data ?? []).equals(ours.images[0]?.data ?? Buffer.alloc(0))).toBe(false);
    });
  });
}
