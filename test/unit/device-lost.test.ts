import { expect, it } from 'vitest';
import { until } from '../support/fakeAddon.js';
import { fakeModel } from '../support/fakeModel.js';
import { failure } from '../support/native.js';

const request = { prompt: 'a', width: 64, height: 64, steps: 1, seed: 1 };

it('a lost device ends its job; the next one reads the weights again, another failure does not', async () => {
  const { fake, model, runtime } = await fakeModel();
  await model.txt2img(request);
  for (const [code, models] of [
    ['ERR_ENGINE', 1],
    ['ERR_DEVICE_LOST', 2],
    ['ERR_DEVICE_LOST', 3],
  ] as const) {
    fake.hold.add('sample');
    const before = fake.of('sample').length;
    const failing = failure(model.txt2img(request));
    await until(() => fake.of('sample').length > before);
    fake.of('sample').at(-1)?.fail(code, 'The device was lost');
    const error = await failing;
    expect(error).toMatchObject({ code });
    if (code === 'ERR_DEVICE_LOST') expect(error.hint).toContain('reads the model again');
    fake.hold.clear();
    await model.txt2img(request);
    expect(fake.models).toBe(models);
  }
  expect(fake.disposedModels).toEqual([1, 2]);
  await runtime.dispose();
  expect(fake.disposedModels).toEqual([1, 2, 3]);
});
