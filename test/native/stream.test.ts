import { describe, expect, it } from 'vitest';
import { type GenerateEvent } from '../../lib/index.js';
import { expectPicture, failure, hashes, paint, rejection, tiny, useModel } from '../support/native.js';

const fixture = useModel();
const steps = 4;
const request = { ...tiny, steps };

async function collect(stream: AsyncIterable<GenerateEvent>): Promise<GenerateEvent[]> {
  const events: GenerateEvent[] = [];
  for await (const event of stream) events.push(event);
  return events;
}

/** The next job runs when the native work of the one before has let go, within an evaluation and not 500. */
async function expectFree(): Promise<void> {
  await fixture.model.sigmas({ steps: 2 });
  expect(fixture.model.queue.length).toBe(0);
}

describe('txt2imgStream', () => {
  it('yields progress, previews and the pictures of txt2img', async () => {
    const events = await collect(fixture.model.txt2imgStream({ ...request, batchSize: 2 }));
    const images = events.flatMap((event) => (event.type === 'image' ? [event] : []));
    expect(images.map(({ image, images: of }) => [image, of])).toEqual([
      [1, 2],
      [2, 2],
    ]);
    const results = images.map(({ result }) => result);
    for (const result of results) expectPicture(result);
    expect(hashes({ images: results })).toEqual(hashes(await fixture.model.txt2img({ ...request, batchSize: 2 })));
    expect(new Set(events.map(({ type }) => type))).toEqual(new Set(['progress', 'preview', 'image']));
    const fractions = events.flatMap((event) => (event.type === 'progress' ? [event.fraction] : []));
    for (const [i, fraction] of fractions.entries()) expect(fraction).toBeGreaterThanOrEqual(fractions[i - 1] ?? 0);
    expect(fractions.at(-1)).toBe(1);
  });

  it('hands the first picture out before the second is drawn', async () => {
    const order: string[] = [];
    for await (const event of fixture.model.txt2imgStream({ ...request, batchSize: 2 })) {
      if (event.type === 'image') order.push(`picture ${String(event.image)}`);
      if (event.type === 'progress' && event.phase === 'sample' && event.step > 0)
        order.push(`step ${String(event.image)}`);
    }
    expect(order.indexOf('picture 1')).toBeLessThan(order.lastIndexOf('step 2'));
    expect(order.at(-1)).toBe('picture 2');
  });

  it('a slow reader misses old events, never pictures', async () => {
    const types: string[] = [];
    for await (const event of fixture.model.txt2imgStream({ ...request, batchSize: 2 })) {
      types.push(event.type);
      // Longer than a step, shorter than the job.
      await new Promise((resolve) => setTimeout(resolve, 700));
    }
    expect(types.filter((type) => type === 'image').length).toBe(2);
  });

  it('left early, it aborts its job; the model is free', async () => {
    const expected = hashes(await fixture.model.txt2img(request));
    let seen = 0;
    for await (const event of fixture.model.txt2imgStream({ ...request, steps: 500 })) {
      if (event.type === 'preview' && ++seen === 2) break;
    }
    expect(seen).toBe(2);
    await expectFree();
    expect(hashes(await fixture.model.txt2img(request))).toEqual(expected);
  });

  it('throws the reason of its signal', async () => {
    const controller = new AbortController();
    const reason = new Error('stop');
    const stream = fixture.model.txt2imgStream({ ...request, steps: 500, signal: controller.signal });
    const all = rejection(
      (async () => {
        for await (const event of stream) if (event.type === 'preview') controller.abort(reason);
      })(),
    );
    expect(await all).toBe(reason);
    await expectFree();
  });

  it('throws what is wrong with the request, at the first read', async () => {
    expect(await failure(collect(fixture.model.txt2imgStream({ ...request, steps: 0 })))).toMatchObject({
      code: 'ERR_INVALID_OPTION',
      field: 'steps',
    });
  });

  it('calls the listeners of the request as well', async () => {
    let [progress, previews] = [0, 0];
    const events = await collect(
      fixture.model.txt2imgStream({ ...request, onProgress: () => void progress++, onPreview: () => void previews++ }),
    );
    expect(progress).toBeGreaterThanOrEqual(events.filter(({ type }) => type === 'progress').length);
    expect(previews).toBe(steps);
  });
});

describe('streams of the other modes', () => {
  it('img2imgStream and inpaintStream', async () => {
    const image = paint((x, y) => [x * 4, y * 4, 9]);
    const img2img = { ...request, image, denoisingStrength: 0.5 };
    for (const [stream, same] of [
      [fixture.model.img2imgStream(img2img), fixture.model.img2img(img2img)],
      [fixture.model.inpaintStream({ ...img2img, mask: image }), fixture.model.inpaint({ ...img2img, mask: image })],
    ] as const) {
      const events = await collect(stream);
      const images = events.flatMap((event) => (event.type === 'image' ? [event.result] : []));
      expect(hashes({ images })).toEqual(hashes(await same));
    }
  });
});
