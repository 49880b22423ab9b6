import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createRuntime, type LoraBackup, type Model, type Runtime } from '../../lib/index.js';
import { psnr } from '../parity/psnr.js';
import { lowRank, writeLora } from '../support/lora/files.js';
import { edge, hashes, only, threads, tiny } from '../support/native.js';
import { useScratch } from '../support/scratch.js';
import { vulkanRuntime } from '../support/vulkan.js';

const scratch = useScratch(64 * 2 ** 20);
const sizes: Readonly<Record<string, [number, number]>> = {
  lora_unet_input_blocks_1_1_transformer_blocks_0_attn1_to_q: [320, 320],
  lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q: [640, 640],
};
/**
 * Least PSNR against the CPU backend, dB. Devices that can, lavapipe too, multiply and add in f16, whose unit is 5e-4: the UNet is
 * off by about 1e-3 (parts.test.ts). Two steps begin at sigma 14.6, and a latent is off by sigma times the error of the
 * UNet: 1.5e-2, which is 39 dB. precision.test.ts holds the arithmetic itself, in f32, to 50 dB.
 */
const near = 36;
const bytes = Object.values(sizes).reduce((sum, [out, width]) => sum + 2 * out * width, 0); // f16

describe('the backend vulkan', () => {
  const runtimes: Runtime[] = [];
  let [vulkan, cpu]: [Model?, Model?] = [];
  const paths = { style: '', other: '' };
  const models = (): [Model, Model] => {
    if (vulkan === undefined || cpu === undefined) throw new Error('The models were not loaded');
    return [vulkan, cpu];
  };

  beforeAll(async () => {
    paths.style = writeLora(scratch.path('style.safetensors'), lowRank(sizes, { seed: 1, size: 0.08 }));
    paths.other = writeLora(scratch.path('other.safetensors'), lowRank(sizes, { seed: 2, size: 0.08 }));
    runtimes.push(await vulkanRuntime(), await createRuntime({ backend: 'cpu', threads }));
    [vulkan, cpu] = (await Promise.all(runtimes.map((runtime) => runtime.loadModel()))) as [Model, Model];
  });
  afterAll(async () => {
    await Promise.all(runtimes.map((runtime) => runtime.dispose({ abort: true })));
  });

  it('makes the pictures of the CPU backend, the same one every time', async () => {
    const [ours, reference] = models();
    const image = only(await ours.txt2img(tiny));
    const db = psnr(image.data, only(await reference.txt2img(tiny)).data);
    process.stdout.write(`PSNR against the CPU backend: ${db.toFixed(1)} dB\n`);
    expect(db).toBeGreaterThan(near);
    expect(hashes(await ours.txt2img(tiny))).toEqual(hashes({ images: [image] }));
  });

  it('holds the weights in its own memory, and says so by device', async () => {
    const [ours] = models();
    const { byDevice } = await ours.memory();
    const device = runtimes[0]?.device;
    if (device === undefined) throw new Error('There is no runtime');
    expect(byDevice).toEqual({ [device.name]: { weights: ours.info.bytes, backups: 0 } });
    expect(device.memoryTotal).toBeGreaterThan(ours.info.bytes);
  });

  it.each<LoraBackup>(['file', 'device'])(
    'sets LoRAs and restores the weights exactly, backup %s',
    async (loraBackup) => {
      const [first, reference] = models();
      const own = loraBackup === 'file' ? undefined : await runtimes[0]?.loadModel({ loraBackup });
      const model = own ?? first;
      const name = runtimes[0]?.device.name ?? '';
      try {
        const before = await model.weightsDigest();
        expect(before).toEqual(await reference.weightsDigest());
        const loras = [{ path: paths.style, weight: 0.7 }];
        const report = await model.loras.set(loras);
        expect(report).toMatchObject({ mode: 'merge', backup: loraBackup, tensors: 2, merged: 2 });
        await reference.loras.set(loras);
        // The arithmetic is done on the CPU, whatever memory the tensors are in: the same bytes.
        const changed = await model.weightsDigest();
        expect(changed).toEqual(await reference.weightsDigest());
        expect(changed.sha256).not.toBe(before.sha256);
        expect((await model.memory()).byDevice[name]?.backups).toBe(loraBackup === 'device' ? bytes : 0);
        await model.loras.set([{ path: paths.other }, ...loras]);
        await model.loras.set([]);
        expect(await model.weightsDigest()).toEqual(before);
        expect((await model.memory()).byDevice[name]?.backups).toBe(0);
      } finally {
        await reference.loras.set([]);
        await own?.dispose();
      }
    },
  );

  it('a LoRA of a request changes its picture as on the CPU, and no other', async () => {
    const [ours, reference] = models();
    const plain = only(await ours.txt2img(tiny));
    const request = { ...tiny, loras: [{ path: paths.style, weight: 4 }] }; // by far more than the device's rounding
    const changed = only(await ours.txt2img(request));
    const toReference = psnr(changed.data, only(await reference.txt2img(request)).data);
    const toPlain = psnr(changed.data, plain.data);
    process.stdout.write(
      `with the LoRA: ${toReference.toFixed(1)} dB, to the picture without it ${toPlain.toFixed(1)} dB\n`,
    );
    expect(toReference).toBeGreaterThan(near);
    expect(toReference).toBeGreaterThan(toPlain + 6);
    expect(hashes(await ours.txt2img(tiny))).toEqual(hashes({ images: [plain] }));
  });

  it('estimates a job by its own graphs', async () => {
    const [ours] = models();
    const small = await ours.estimate(tiny);
    const large = await ours.estimate({ ...tiny, width: 4 * edge });
    expect(small.diffusion).toBeGreaterThan(0);
    expect(large.diffusion).toBeGreaterThan(small.diffusion);
  });
});
