import { beforeAll, describe, expect, it } from 'vitest';
import { createRuntime, ensureEmbeddedModel, type Model, type Runtime } from '../../lib/index.js';
import { expectPicture, hashes } from '../support/native.js';
import { useScratch } from '../support/scratch.js';
import {
  draw,
  drawWithSdCli,
  expectSameBytes,
  type ParityHires,
  type ParityLoad,
  type ParityRequest,
  sdCliPath,
} from '../support/sdcli/index.js';

/**
 * Of each side. Both draw at the same time, so two cores are busy; ggml's threads would wait for each other actively,
 * which takes long where others work as well.
 */
const threads = 1;

/**
 * What every case starts from. The defaults of sd-cli differ from ours (cfgScale 7, 512 pixels, a sampler by model), so
 * everything is said.
 */
const base = {
  prompt: 'red apple',
  negativePrompt: '',
  width: 64,
  height: 64,
  steps: 2,
  cfgScale: 1,
  sampler: 'euler',
  schedule: 'discrete',
  seed: 42,
} as const satisfies ParityRequest;

export interface ParityCase {
  readonly name: string;
  /** Joined to the base; one of its own for every case, so that no two cases draw the same picture. */
  readonly request: Partial<ParityRequest>;
  /** Levels that a sample may differ by, where both round numbers in another order. Default: 0. */
  readonly atMost?: number;
}

/** Options of sd-cli that are not those of ours in the same case; for what must make no difference. */
export interface SuiteOptions {
  readonly sdCli?: Partial<ParityLoad>;
}

/** Draws each case with the embedded model, loaded once, and with sd-cli, and compares the bytes. */
export function paritySuite(
  title: string,
  load: Partial<ParityLoad>,
  cases: readonly ParityCase[],
  options: SuiteOptions = {},
): void {
  describe(title, () => {
    const scratch = useScratch(16 * 2 ** 20);
    const drawn = new Map<string, string>();
    let [runtime, model, complete]: [Runtime?, Model?, ParityLoad?] = [];

    beforeAll(async () => {
      sdCliPath();
      const { checkpoint, taesd } = await ensureEmbeddedModel();
      complete = { checkpoint, taesd, mmap: true, rng: 'cuda', threads, ...load };
      runtime = await createRuntime({ backend: 'cpu' });
      model = await runtime.loadModel(complete);
      return () => runtime?.dispose({ abort: true });
    });

    it.each(cases)('$name', async ({ name, request, atMost = 0 }) => {
      if (model === undefined || complete === undefined) throw new Error('The model was not loaded');
      const full = { ...base, ...request };
      const [ours, theirs] = await Promise.all([
        draw(model, full),
        drawWithSdCli(scratch, { ...complete, ...options.sdCli }, full),
      ]);
      expect(ours.images).toHaveLength(full.batchSize ?? 1);
      const hires: Partial<ParityHires> = full.hires ?? {};
      const { scale = 1 } = hires;
      const { width = (full.width ?? 64) * scale, height = (full.height ?? 64) * scale } = hires;
      for (const image of ours.images) expectPicture(image, width, height);
      expectSameBytes(ours.images, theirs, atMost);
      // An option that both sides ignore would pass for equal.
      for (const hash of hashes(ours)) {
        expect(drawn.get(hash), `drew the picture of "${String(drawn.get(hash))}"`).toBeUndefined();
        drawn.set(hash, name);
      }
    });
  });
}
