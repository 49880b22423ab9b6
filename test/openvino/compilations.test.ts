import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createRuntime, type Model, type ModelEvent, type ProgressEvent, type Runtime } from '../../lib/index.js';
import { lowRank, scalar, seeded, writeLora } from '../support/lora/files.js';
import { edge, hashes, rejection, threads, tiny } from '../support/native.js';
import { useScratch } from '../support/scratch.js';

const scratch = useScratch(64 * 2 ** 20);
const block = 'lora_unet_input_blocks_1_1_';

describe('what is compiled', () => {
  const lines: string[] = [];
  const listeners = new Set<(line: string) => void>();
  let [runtime, model]: [Runtime?, Model?] = [];
  const loaded = (): Model => {
    if (model === undefined) throw new Error('The model was not loaded');
    return model;
  };
  /** Changes a matrix, and a kernel of one pixel as those of the usual trainers do, or with `wide` one of 3x3. */
  const style = (seed: number, wide = false): string => {
    const random = seeded(seed);
    const matrix = lowRank({ [`${block}transformer_blocks_0_attn1_to_q`]: [320, 320] }, { seed, size: 0.1 });
    const kernel = wide ? 'lora_unet_input_blocks_1_0_in_layers_2' : `${block}proj_in`;
    const edges = wide ? [3, 3] : [1, 1];
    return writeLora(scratch.path(`${String(seed)}-${String(wide)}.safetensors`), {
      ...matrix,
      [`${kernel}.lora_up.weight`]: random([320, 4, 1, 1], 0.1),
      [`${kernel}.lora_down.weight`]: random([4, 320, ...edges], 0.1),
      [`${kernel}.alpha`]: scalar(4),
    });
  };
  /** Compilations of one job, as its listener hears of them. */
  const compilations = async (request: Parameters<Model['txt2img']>[0]): Promise<ModelEvent[]> => {
    const events: ModelEvent[] = [];
    await loaded().txt2img({
      ...request,
      onModel: (event) => void (event.action === 'compile' && events.push(event)),
    });
    return events;
  };

  beforeAll(async () => {
    const logger = (_level: string, line: string): void => {
      lines.push(line);
      for (const listener of listeners) listener(line);
    };
    runtime = await createRuntime({ backend: 'openvino', threads, logLevel: 'info', logger });
    model = await runtime.loadModel();
  });
  afterAll(() => runtime?.dispose({ abort: true }));

  it('is told by the job: network, reason, time, memory; and counted by component and in estimates', async () => {
    expect((await loaded().memory()).compiled).toEqual({
      ...{ textEncoder: 0, diffusionModel: 0, vae: 0, controlNet: 0 },
    });
    const before = await loaded().estimate(tiny);
    const events = await compilations(tiny);
    expect(events.map(({ component, reason }) => [component, reason])).toEqual(
      ['textEncoder', 'diffusionModel', 'vae'].map((component) => [component, 'new size or network']),
    );
    for (const { ms, bytes } of events) {
      expect(ms).toBeGreaterThan(0);
      expect(bytes).toBeGreaterThan(0);
    }
    const { compiled } = await loaded().memory();
    const [text, diffusion, vae] = events.map(({ bytes }) => bytes ?? 0);
    expect(compiled).toEqual({ textEncoder: text, diffusionModel: diffusion, vae, controlNet: 0 });

    // The estimate counted them, not much too low and not twice, and counts them no more.
    const after = await loaded().estimate(tiny);
    const gone = { textEncoder: before.textEncoder - after.textEncoder, diffusion: before.diffusion - after.diffusion };
    for (const [foreseen, taken] of [
      [gone.textEncoder, text],
      [gone.diffusion, diffusion],
    ] as const) {
      expect(foreseen / (taken ?? 1)).toBeGreaterThan(0.7);
      expect(foreseen / (taken ?? 1)).toBeLessThan(1.6);
    }
    expect(await compilations(tiny)).toEqual([]);
  });

  it('the first set of LoRAs compiles the UNet once more, all others nothing', async () => {
    const plain = hashes(await loaded().txt2img(tiny));
    const [first, ...others] = await compilations({ ...tiny, loras: [{ path: style(1) }] });
    expect(first).toMatchObject({ component: 'diffusionModel', reason: 'weights changed' });
    expect(others).toEqual([]);
    const pictures = new Set<string>();
    for (const set of [[2], [3], [1, 2], [1]]) {
      const request = { ...tiny, loras: set.map((seed) => ({ path: style(seed) })) };
      expect(await compilations(request)).toEqual([]);
      pictures.add(hashes(await loaded().txt2img(request)).join());
    }
    expect(pictures.size).toBe(4);
    expect(await compilations(tiny)).toEqual([]);
    expect(hashes(await loaded().txt2img(tiny))).toEqual(plain);
    // At other sizes sets are inputs from now on, and without one the weights are constants.
    const other = { ...tiny, width: 2 * edge };
    expect(await compilations({ ...other, loras: [{ path: style(3) }] })).toMatchObject([
      { component: 'diffusionModel', reason: 'new size or network' },
      { component: 'vae', reason: 'new size or network' },
    ]);
    expect(await compilations({ ...other, loras: [{ path: style(4) }] })).toEqual([]);
  });

  it('LoRAs of larger kernels compile the UNet for each set', async () => {
    for (const seed of [5, 6]) {
      const request = { ...tiny, loras: [{ path: style(seed, true) }] };
      expect(await compilations(request)).toMatchObject([{ component: 'diffusionModel', reason: 'weights changed' }]);
      expect(await compilations(request)).toEqual([]);
    }
  });

  it('an abort while it compiles rejects at once, and no evaluation follows', async () => {
    const request = { ...tiny, width: 3 * edge, steps: 30 };
    const reason = new Error('changed my mind');
    const controller = new AbortController();
    let aborted = 0;
    listeners.add((line) => {
      if (!line.includes('openvino: compiling')) return;
      aborted = performance.now();
      controller.abort(reason);
    });
    lines.length = 0;
    const steps: ProgressEvent[] = [];
    const onProgress = (event: ProgressEvent): void =>
      void (event.phase === 'sample' && event.step > 0 && steps.push(event));
    expect(await rejection(loaded().txt2img({ ...request, signal: controller.signal, onProgress }))).toBe(reason);
    expect(performance.now() - aborted).toBeLessThan(500);
    listeners.clear();
    // The model is free again when the compilation has ended.
    await loaded().countTokens('an apple');
    const free = performance.now() - aborted;
    const ms = lines.flatMap((line) => /openvino: compiled \d+ nodes in (\d+) ms/.exec(line)?.[1] ?? []).map(Number);
    expect(ms).toHaveLength(1);
    expect(free).toBeLessThan((ms[0] ?? 0) * 1.5 + 1500);
    expect(steps).toEqual([]);
    // What was compiled is kept.
    const left = await compilations({ ...request, steps: 1 });
    expect(left.map(({ component }) => component)).toEqual(['vae']);
  });

  it('previews of the VAE are the VAE, in events and in estimates', async () => {
    const request = { ...tiny, width: 4 * edge, steps: 2 };
    const plain = await loaded().estimate(request);
    const looking = { ...request, preview: { mode: 'vae', every: 1 } as const };
    const shown = await loaded().estimate({ ...looking, onPreview: () => undefined });
    // Beside the network that samples, and counted once although the result is decoded as well.
    const all = await compilations({ ...looking, onPreview: () => undefined });
    const events = all.filter(({ component }) => component !== 'textEncoder');
    expect(events.map(({ component }) => component)).toEqual(['diffusionModel', 'vae']);
    const vae = events[1]?.bytes ?? 0;
    expect(vae).toBeLessThan(events[0]?.bytes ?? 0);
    expect(shown.diffusion - plain.diffusion).toBeGreaterThan(vae / 2);
    const after = await loaded().estimate(request);
    expect(after.diffusion).toBeLessThan(plain.diffusion);
  });

  it('is bounded by cacheSize', async () => {
    await using small = await createRuntime({ backend: 'openvino', threads, openvino: { cacheSize: '1MiB' } });
    const other = await small.loadModel();
    await other.txt2img({ ...tiny, prompt: 'a pear', height: 2 * edge });
    const { compiled } = await other.memory();
    expect(compiled).toMatchObject({ textEncoder: 0, diffusionModel: 0 });
    expect(compiled.vae).toBeGreaterThan(0);
  });
});
