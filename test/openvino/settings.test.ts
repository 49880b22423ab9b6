import { describe, expect, it } from 'vitest';
import { createRuntime, type OpenvinoOptions, type RawImage } from '../../lib/index.js';
import { openvinoLibrary } from '../../lib/sdk/openvinoLibrary.js';
import { psnr } from '../parity/psnr.js';
import { expectPicture, failure, only, rawAddon, threads, tiny } from '../support/native.js';

async function picture(backend: 'cpu' | 'openvino', openvino?: OpenvinoOptions): Promise<RawImage> {
  await using runtime = await createRuntime({ backend, threads, openvino });
  return only(await (await runtime.loadModel()).txt2img({ ...tiny, steps: 4 }));
}

describe('the settings of OpenVINO', () => {
  it('a picture in bf16 or f16 is near that in f32, and a CPU that lacks one is told so before it loads', async () => {
    const library = openvinoLibrary(rawAddon().describeBackend('openvino'));
    const able = library?.devices.find(({ name }) => name === 'CPU')?.precisions ?? [];
    expect(able).toContain('FP32');
    const wanted = await picture('openvino');
    for (const [precision, name, decibels] of [
      ['bf16', 'BF16', 25],
      ['f16', 'FP16', 35],
    ] as const) {
      if (able.includes(name)) {
        const image = await picture('openvino', { precision });
        expectPicture(image);
        expect(psnr(image.data, wanted.data)).toBeGreaterThan(decibels);
        // It does compute in something else.
        expect(image.data).not.toEqual(wanted.data);
        continue;
      }
      await using runtime = await createRuntime({ backend: 'openvino', threads, openvino: { precision } });
      const error = await failure(runtime.loadModel());
      expect(error).toMatchObject({ code: 'ERR_INVALID_OPTION' });
      expect(error.message).toContain(`does not compute in ${precision}`);
      expect(error.message).toContain(able.includes('BF16') ? 'can be f32, bf16' : 'can be f32');
    }
  });

  it('the device AUTO makes the picture of the CPU backend', async () => {
    const [auto, cpu] = [await picture('openvino', { device: 'AUTO' }), await picture('cpu')];
    expect(psnr(auto.data, cpu.data)).toBeGreaterThan(45);
  });

  it.each(['AUTOMATIC', 'AUTO:NPU', 'HETERO:NOWHERE,CPU', 'BATCH'])(
    'a device that only begins as one of OpenVINO, or names none here, is refused before anything is loaded: %s',
    async (device) => {
      await using runtime = await createRuntime({ backend: 'openvino', threads, openvino: { device } });
      const error = await failure(runtime.loadModel());
      expect(error).toMatchObject({ code: 'ERR_BACKEND_UNAVAILABLE' });
      expect(error.message).toContain(device);
    },
  );

  it('a compilation longer than hangTimeout is no hanging job', async () => {
    const isolation = { mode: 'process', hangTimeout: 1000 } as const;
    await using runtime = await createRuntime({ backend: 'openvino', threads, isolation });
    const model = await runtime.loadModel();
    let longest = 0;
    const result = await model.txt2img({
      ...tiny,
      onModel: ({ action, ms }) => void (action === 'compile' && (longest = Math.max(longest, ms))),
    });
    expectPicture(only(result));
    expect(longest).toBeGreaterThan(isolation.hangTimeout);
  });
});
