import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createRuntime, type Model, type Runtime } from '../../lib/index.js';
import { psnr } from '../parity/psnr.js';
import { lowRank, writeLora } from '../support/lora/files.js';
import { edge, failure, hashes, only, threads, tiny } from '../support/native.js';
import { useScratch } from '../support/scratch.js';

const scratch = useScratch(64 * 2 ** 20);
const modules = ['1_1', '4_1'].map((block) => `lora_unet_input_blocks_${block}_transformer_blocks_0_attn1_to_q`);

describe('the backend openvino', () => {
  const log: string[] = [];
  const runtimes: Runtime[] = [];
  let [openvino, cpu]: [Model?, Model?] = [];
  let lora = '';
  const models = (): [Model, Model] => {
    if (openvino === undefined || cpu === undefined) throw new Error('The models were not loaded');
    return [openvino, cpu];
  };
  /** Why graphs were compiled since the last call. */
  const compilations = (): string[] =>
    log.splice(0).flatMap((line) => /openvino: compiled .*: (.*)/.exec(line)?.[1]?.trim() ?? []);

  beforeAll(async () => {
    const size = { [modules[0] ?? '']: [320, 320], [modules[1] ?? '']: [640, 640] } as Record<string, [number, number]>;
    lora = writeLora(scratch.path('style.safetensors'), lowRank(size, { seed: 1, size: 0.08 }));
    const logger = (_level: string, line: string): void => void log.push(line);
    const first = await createRuntime({ backend: 'openvino', threads, logLevel: 'info', logger });
    runtimes.push(first);
    openvino = await first.loadModel();
    const second = await createRuntime({ backend: 'cpu', threads });
    runtimes.push(second);
    cpu = await second.loadModel();
  });
  afterAll(async () => {
    await Promise.all(runtimes.map((runtime) => runtime.dispose({ abort: true })));
  });

  it('makes the pictures of the CPU backend, and no node falls back', async () => {
    const [ours, reference] = models();
    const request = { ...tiny, steps: 4 };
    const [a, b] = [only(await ours.txt2img(request)), only(await reference.txt2img(request))];
    expect(psnr(a.data, b.data)).toBeGreaterThan(50);
    expect(log.join('\n')).not.toContain('left to the CPU backend');
  });

  it('compiles a size once', async () => {
    const [ours] = models();
    const before = hashes(await ours.txt2img(tiny));
    compilations();
    expect(hashes(await ours.txt2img({ ...tiny, seed: 2 }))).not.toEqual(before);
    expect(hashes(await ours.txt2img(tiny))).toEqual(before);
    expect(compilations()).toEqual([]);
    await ours.txt2img({ ...tiny, width: 2 * edge });
    expect(compilations()).toEqual(['new size or network', 'new size or network']);
    expect(hashes(await ours.txt2img(tiny))).toEqual(before);
    expect(compilations()).toEqual([]);
  });

  it('a LoRA of the UNet recompiles the UNet alone; without it again, nothing', async () => {
    const [ours, reference] = models();
    const plain = only(await ours.txt2img(tiny));
    compilations();
    const changed = only(await ours.txt2img({ ...tiny, loras: [{ path: lora }] }));
    expect(compilations()).toEqual(['weights changed']);
    expect(psnr(changed.data, plain.data)).toBeLessThan(40);
    expect(
      psnr(changed.data, only(await reference.txt2img({ ...tiny, loras: [{ path: lora }] })).data),
    ).toBeGreaterThan(50);
    expect(hashes(await ours.txt2img(tiny))).toEqual(hashes({ images: [plain] }));
    expect(compilations()).toEqual([]);
  });

  it('a hires pass stays img2img of the first pass through changes of size and weights', async () => {
    const [ours, reference] = models();
    const size = { width: 2 * edge, height: 2 * edge };
    const hires = { ...size, denoisingStrength: 0.3, steps: 2, upscaler: 'latent-bicubic', loras: [{ path: lora }] };
    compilations();
    const request = { ...tiny, hires } as const;
    const [a, b] = [only(await ours.txt2img(request)), only(await reference.txt2img(request))];
    expect(compilations()).toEqual(['new size or network', 'new size or network']); // UNet and VAE of the second pass
    expect(hashes(await ours.txt2img(request))).toEqual(hashes({ images: [a] }));
    expect(compilations()).toEqual([]);
    expect(psnr(a.data, b.data)).toBeGreaterThan(50);
    // What falls back to txt2img makes the picture that the size alone makes.
    const alone = only(await ours.txt2img({ ...tiny, ...size, loras: [{ path: lora }] }));
    expect(psnr(a.data, alone.data)).toBeLessThan(psnr(a.data, b.data) - 10);
  });

  it('a device that OpenVINO does not find is an error that lists those it finds', async () => {
    const runtime = await createRuntime({ backend: 'openvino', openvino: { device: 'NPU.7' } });
    const error = await failure(runtime.loadModel());
    expect(error).toMatchObject({ code: 'ERR_BACKEND_UNAVAILABLE' });
    expect(error.message).toContain('CPU');
    await runtime.dispose();
  });
});
