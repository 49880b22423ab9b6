import { describe, expect, it } from 'vitest';
import type { GenerateEvent, ImageEvent, ProgressEvent } from '../../lib/pipeline/events.js';
import { runMode, streamMode } from '../../lib/pipeline/modes.js';
import { EventBuffer } from '../../lib/pipeline/stream.js';
import { picture, until } from '../support/fakeAddon.js';
import { fakePipeline } from '../support/fakeModel.js';

const progress = (step: number): ProgressEvent => ({
  type: 'progress',
  phase: 'sample',
  step,
  total: 9,
  image: 1,
  images: 1,
  secondsPerStep: 0,
  eta: null,
  bytes: 0,
  totalBytes: 0,
  fraction: 0,
});
const image = (index: number): ImageEvent => ({
  type: 'image',
  image: index,
  images: 2,
  result: { seed: index } as ImageEvent['result'],
});

async function all(events: AsyncIterable<GenerateEvent>): Promise<GenerateEvent[]> {
  const seen: GenerateEvent[] = [];
  for await (const event of events) seen.push(event);
  return seen;
}

describe('EventBuffer', () => {
  it('replaces unread progress and keeps every picture, in order', async () => {
    const buffer = new EventBuffer();
    for (const event of [progress(1), image(1), progress(2), image(2), progress(3)]) buffer.push(event);
    buffer.end();
    expect([await buffer.take(), await buffer.take(), await buffer.take(), await buffer.take()]).toEqual([
      image(1),
      image(2),
      progress(3),
      undefined,
    ]);
  });

  it('hands finished pictures out before it throws', async () => {
    const buffer = new EventBuffer();
    buffer.push(image(1));
    buffer.push(progress(1));
    buffer.fail('late');
    expect(await buffer.take()).toEqual(image(1));
    await expect(buffer.take()).rejects.toBe('late');
  });

  it('wakes a reader that waits', async () => {
    const buffer = new EventBuffer();
    const taken = buffer.take();
    buffer.push(progress(4));
    expect(await taken).toEqual(progress(4));
  });
});

describe('streams', () => {
  it('yield progress, previews and images of one job', async () => {
    const { fake, model } = fakePipeline();
    fake.events = (op) => (op === 'sample' ? [{ type: 'preview', step: 1, image: picture(8, 8, 1) }] : []);
    const events = await all(streamMode(model, 'txt2img', { prompt: 'x', steps: 1, batchSize: 2, seed: 5 }));
    const images = events.filter((event) => event.type === 'image');
    expect(images.map(({ image: at, images: of, result }) => [at, of, result.seed])).toEqual([
      [1, 2, 5],
      [2, 2, 6],
    ]);
    expect(new Set(events.map(({ type }) => type))).toEqual(new Set(['progress', 'preview', 'image']));
    expect(fake.of('sample')[0]?.params.preview).toBe('proj');
  });

  it('start with the first read', async () => {
    const { fake, model } = fakePipeline();
    const stream = streamMode(model, 'txt2img', { prompt: 'x', steps: 1 });
    await new Promise((resolve) => setImmediate(resolve));
    expect(model.queue.length).toBe(0);
    expect(fake.calls).toHaveLength(0);
    await all(stream);
    expect(fake.of('sample')).toHaveLength(1);
  });

  it('abort the job when the loop is left, and the model goes on', async () => {
    const { fake, model } = fakePipeline();
    fake.hold.add('decodeLatent');
    for await (const event of streamMode(model, 'txt2img', { prompt: 'x', steps: 1 }))
      if (event.type === 'progress' && event.phase === 'decode') break;
    await until(() => fake.of('decodeLatent')[0]?.cancelled === true, 'cancelled');
    fake.hold.clear();
    const { images } = await runMode(model, 'txt2img', { prompt: 'x', steps: 1, seed: 3 });
    expect(images[0]?.data[0]).toBe(3);
    expect(fake.of('sample')).toHaveLength(2);
  });

  it('throw exactly the reason of the signal', async () => {
    const { fake, model } = fakePipeline();
    fake.hold.add('sample');
    const controller = new AbortController();
    const reason = { stop: true };
    const reading = all(streamMode(model, 'txt2img', { prompt: 'x', steps: 1, signal: controller.signal }));
    await until(() => fake.of('sample').length === 1);
    controller.abort(reason);
    await expect(reading).rejects.toBe(reason);
    await until(() => model.queue.length === 0);
    await expect(all(streamMode(model, 'txt2img', { prompt: 'x', signal: controller.signal }))).rejects.toBe(reason);
  });

  it('call the listeners of the request as well', async () => {
    const { model } = fakePipeline();
    const seen: number[] = [];
    const onProgress = ({ fraction }: ProgressEvent): void => void seen.push(fraction);
    await all(streamMode(model, 'txt2img', { prompt: 'x', steps: 1, onProgress }));
    expect(seen.at(-1)).toBe(1);
  });

  it('refuse what the mode refuses', async () => {
    const { model } = fakePipeline();
    await expect(all(streamMode(model, 'txt2img', { prompt: 'x', step: 3 }))).rejects.toMatchObject({
      code: 'ERR_INVALID_OPTION',
      field: 'step',
    });
  });
});
