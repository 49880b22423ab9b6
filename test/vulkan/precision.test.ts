import { expect, it } from 'vitest';
import { createRuntime } from '../../lib/index.js';
import { psnr } from '../parity/psnr.js';
import { only, threads, tiny } from '../support/native.js';
import { vulkanRuntime } from '../support/vulkan.js';

it('with f32 arithmetic on the device the picture is that of the CPU backend but for rounding', async () => {
  // ggml reads it when it opens the device; every test file is a process of its own.
  process.env.GGML_VK_DISABLE_F16 = '1';
  await using vulkan = await vulkanRuntime();
  await using cpu = await createRuntime({ backend: 'cpu', threads });
  const pictures: Uint8Array[] = [];
  for (const runtime of [vulkan, cpu]) pictures.push(only(await (await runtime.loadModel()).txt2img(tiny)).data);
  const [ours, reference] = pictures as [Uint8Array, Uint8Array];
  const db = psnr(ours, reference);
  process.stdout.write(`PSNR against the CPU backend, f32: ${db.toFixed(1)} dB\n`);
  expect(db).toBeGreaterThan(50);
});
