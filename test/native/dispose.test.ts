import { describe, expect, it } from 'vitest';
import { createRuntime, type ProgressEvent } from '../../lib/index.js';
import { failure, hashes, paint, rejection, threads, tiny, useModel } from '../support/native.js';

const fixture = useModel();
/** Maps the same file: costs next to nothing beside the fixture's model. */
const load = () => fixture.runtime.loadModel({ mmap: true });

/** Resolves when the job samples. */
function sampling(): { readonly started: Promise<void>; readonly onProgress: (event: ProgressEvent) => void } {
  let start: () => void = () => undefined;
  const started = new Promise<void>((resolve) => {
    start = resolve;
  });
  const onProgress = ({ phase, step }: ProgressEvent): void => {
    if (phase === 'sample' && step > 0) start();
  };
  return { started, onProgress };
}

describe('dispose of a model', () => {
  it('waits for the running job and rejects those that wait', async () => {
    const model = await load();
    const { started, onProgress } = sampling();
    const running = model.txt2img({ ...tiny, onProgress });
    const waiting = rejection(model.txt2img(tiny));
    await started;
    const order: string[] = [];
    const disposed = model.dispose().then(() => order.push('disposed'));
    void running.then(() => order.push('drawn'));
    expect(await waiting).toMatchObject({ code: 'ERR_DISPOSED' });
    expect(hashes(await running)).toEqual(hashes(await fixture.model.txt2img(tiny)));
    await disposed;
    expect(order).toEqual(['drawn', 'disposed']);
    expect(fixture.runtime.models).toEqual([fixture.model]);
  });

  it('aborts the running job on request', async () => {
    const model = await load();
    const { started, onProgress } = sampling();
    const running = rejection(model.txt2img({ ...tiny, steps: 500, onProgress }));
    await started;
    await model.dispose({ abort: true });
    expect(await running).toMatchObject({ code: 'ERR_ABORTED' });
  });

  it('may be asked first to wait, then to abort', async () => {
    const model = await load();
    const { started, onProgress } = sampling();
    const running = rejection(model.txt2img({ ...tiny, steps: 500, onProgress }));
    await started;
    const patient = model.dispose();
    await model.dispose({ abort: true });
    await patient;
    expect(await running).toMatchObject({ code: 'ERR_ABORTED' });
  });

  it('twice is once', async () => {
    const model = await load();
    await Promise.all([model.dispose(), model.dispose()]);
    await model.dispose();
    await model[Symbol.asyncDispose]();
  });

  it('makes every use a typed error', async () => {
    const model = await load();
    const conditioning = await model.encodePrompt({ prompt: 'x' });
    const latent = await model.encodeImage({ image: paint(() => [1, 2, 3]) });
    await model.dispose();
    const image = paint(() => [1, 2, 3]);
    const uses = [
      model.txt2img(tiny),
      model.img2img({ ...tiny, image }),
      model.inpaint({ ...tiny, image, mask: image }),
      model.encodePrompt({ prompt: 'x' }),
      model.sample({ conditioning, width: tiny.width, height: tiny.height }),
      model.encodeImage({ image }),
      model.decodeLatent({ latent }),
      model.sigmas(),
      model.txt2imgStream(tiny).next(),
    ];
    for (const use of uses) expect(await failure(use)).toMatchObject({ code: 'ERR_DISPOSED' });
    conditioning.dispose();
    expect(model.info.architecture).toBe(fixture.model.info.architecture);
  });

  it('leaves other models alone', async () => {
    const expected = hashes(await fixture.model.txt2img(tiny));
    const drawing = fixture.model.txt2img(tiny);
    const model = await load();
    await model.dispose({ abort: true });
    expect(hashes(await drawing)).toEqual(expected);
  });

  it('comes with `await using`', async () => {
    {
      await using model = await load();
      expect(fixture.runtime.models).toContain(model);
    }
    expect(fixture.runtime.models).toEqual([fixture.model]);
  });
});

describe('dispose of a runtime', () => {
  it('disposes of its models, waits for their jobs, and refuses everything afterwards', async () => {
    const runtime = await createRuntime({ backend: 'cpu', threads });
    const models = [await runtime.loadModel({ mmap: true }), await runtime.loadModel({ mmap: true })] as const;
    const { started, onProgress } = sampling();
    const running = models[0].txt2img({ ...tiny, onProgress });
    await started;
    await Promise.all([runtime.dispose(), runtime.dispose()]);
    expect((await running).images.length).toBe(1);
    expect(runtime.models).toEqual([]);
    for (const model of models) expect(await failure(model.sigmas())).toMatchObject({ code: 'ERR_DISPOSED' });
    expect(await failure(runtime.loadModel())).toMatchObject({ code: 'ERR_DISPOSED' });
    expect(await failure(runtime.loadUpscaler({ file: 'x' }))).toMatchObject({ code: 'ERR_DISPOSED' });
    await runtime.dispose();
  });

  it('with abort stops everything, also what is being loaded', async () => {
    const runtime = await createRuntime({ backend: 'cpu', threads });
    const model = await runtime.loadModel({ mmap: true });
    const { started, onProgress } = sampling();
    const running = rejection(model.txt2img({ ...tiny, steps: 500, onProgress }));
    await started;
    const loading = rejection(runtime.loadModel());
    await runtime.dispose({ abort: true });
    expect(await running).toMatchObject({ code: 'ERR_ABORTED' });
    expect(await loading).toMatchObject({ code: 'ERR_ABORTED' });
    expect(runtime.models).toEqual([]);
  });

  it('leaves other runtimes alone', async () => {
    const runtime = await createRuntime({ backend: 'cpu', threads });
    await runtime.dispose();
    expect(hashes(await fixture.model.txt2img(tiny)).length).toBe(1);
  });
});
