import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Model, type Runtime } from '../../lib/index.js';
import { packageRoot } from '../../lib/here.js';
import { failure, hashes, tiny } from '../support/native.js';
import { vulkanRuntime } from '../support/vulkan.js';

// native/test/vulkan_fault_layer.cpp lies between loader and driver, and fails where it is told to.
const layers = join(packageRoot, 'build', 'vulkan-layers');
const gib = 2 ** 30;

describe('a Vulkan device', () => {
  let [runtime, model]: [Runtime?, Model?] = [];
  let before: string[] = [];
  const present = (): { runtime: Runtime; model: Model } => {
    if (runtime === undefined || model === undefined) throw new Error('The model was not loaded');
    return { runtime, model };
  };

  beforeAll(async () => {
    if (!existsSync(join(layers, 'fault.json')))
      throw new Error('The layer is missing: node scripts/build.mjs -DND_VULKAN=ON -DND_BUILD_TESTS=ON');
    process.env.VK_LAYER_PATH = layers;
    process.env.VK_INSTANCE_LAYERS = 'VK_LAYER_ND_fault';
    runtime = await vulkanRuntime();
    model = await runtime.loadModel();
    before = hashes(await model.txt2img(tiny));
  });
  afterEach(() => {
    delete process.env.ND_VULKAN_FAULT;
  });
  afterAll(() => runtime?.dispose({ abort: true }));

  it.each(['submit', 'wait', 'status'])(
    'that is lost (%s) is a typed error; the model comes back on a new one',
    async (fault) => {
      process.env.ND_VULKAN_FAULT = fault;
      const error = await failure(present().model.txt2img(tiny));
      expect(error).toMatchObject({ code: 'ERR_DEVICE_LOST' });
      expect(error.message).toMatch(/lost/);
      delete process.env.ND_VULKAN_FAULT;
      expect(hashes(await present().model.txt2img(tiny))).toEqual(before);
    },
  );

  it('that is out of memory anywhere in a job is a typed error; the next job gives the same bytes', async () => {
    const request = { ...tiny, width: 128, height: 128, seed: 2 };
    let failures = 0;
    for (let nth = 1; ; nth++) {
      process.env.ND_VULKAN_FAULT = `allocation=${String(nth)}`;
      const result = await present()
        .model.txt2img(request)
        .then(hashes, (error: unknown) => error);
      delete process.env.ND_VULKAN_FAULT;
      if (Array.isArray(result)) {
        expect(hashes(await present().model.txt2img(request))).toEqual(result);
        break;
      }
      expect(result).toMatchObject({ code: 'ERR_OUT_OF_MEMORY' });
      failures++;
    }
    expect(failures).toBeGreaterThan(0);
    expect(hashes(await present().model.txt2img(tiny))).toEqual(before);
  });

  it('that has no room for the weights refuses the load', async () => {
    process.env.ND_VULKAN_FAULT = 'allocation=1';
    const error = await failure(present().runtime.loadModel());
    expect(error).toMatchObject({ code: 'ERR_OUT_OF_MEMORY' });
    delete process.env.ND_VULKAN_FAULT;
    const second = await present().runtime.loadModel();
    expect(hashes(await second.txt2img(tiny))).toEqual(before);
    await second.dispose();
  });

  it('has no room for a huge picture: refused before anything is allocated', async () => {
    const huge = { ...tiny, width: 4096, height: 4096, tiling: false } as const;
    const error = await failure(present().model.txt2img(huge));
    expect(error).toMatchObject({ code: 'ERR_OUT_OF_MEMORY' });
    const { needed, available } = error.given as { needed: number; available: number };
    expect(needed).toBeGreaterThan(available);
    expect(needed).toBeGreaterThan(gib);
    expect(hashes(await present().model.txt2img(tiny))).toEqual(before);
  });
});
