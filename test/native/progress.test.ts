import { beforeAll, describe, expect, it, vi } from 'vitest';
import { type Phase, type PreviewEvent, type ProgressEvent } from '../../lib/index.js';
import { edge, hashes, paint, tiny, useModel } from '../support/native.js';

const fixture = useModel();

/** Phases in the order they came, repetitions left out, with the image they belong to. */
function course(events: readonly ProgressEvent[]): string[] {
  return events.map(({ phase, image }) => `${phase} ${String(image)}`).filter((name, i, all) => name !== all[i - 1]);
}

/** What every event promises, whatever the job. */
function expectWellFormed(events: readonly ProgressEvent[]): void {
  const steps = new Map<string, number>();
  let fraction = 0;
  for (const event of events) {
    const { phase, image, step, total } = event;
    expect(step).toBeGreaterThanOrEqual(0);
    expect(step).toBeLessThanOrEqual(total);
    expect(event.fraction).toBeGreaterThanOrEqual(fraction);
    expect(event.fraction).toBeLessThanOrEqual(1);
    fraction = event.fraction;
    if (event.eta !== null) expect(event.eta).toBeGreaterThanOrEqual(0);
    expect(event.secondsPerStep).toBeGreaterThanOrEqual(0);
    // Prompts are counted one by one, each from 0.
    const key = `${phase} ${String(image)}`;
    if (phase !== 'encode') expect(step).toBeGreaterThanOrEqual(steps.get(key) ?? 0);
    steps.set(key, step);
  }
  expect(events.at(-1)).toMatchObject({ fraction: 1, eta: 0 });
}

describe('progress of a batch', () => {
  const [steps, batchSize] = [3, 2];
  const events: ProgressEvent[] = [];

  beforeAll(async () => {
    const onProgress = (event: ProgressEvent): void => void events.push(event);
    await fixture.model.txt2img({ ...tiny, steps, batchSize, cfgScale: 3, onProgress });
  });

  it('is well formed', () => {
    expectWellFormed(events);
  });

  it('goes through the phases in order, image by image', () => {
    expect(course(events)).toEqual(['encode 0', 'sample 1', 'decode 1', 'sample 2', 'decode 2']);
    expect(new Set(events.map(({ images }) => images))).toEqual(new Set([batchSize]));
  });

  it.each([1, 2])('image %i counts every step', (image) => {
    const sampled = events.filter((event) => event.phase === 'sample' && event.image === image);
    expect([...new Set(sampled.map(({ step }) => step))]).toEqual([0, 1, 2, 3]);
    expect(new Set(sampled.map(({ total }) => total))).toEqual(new Set([steps]));
    for (const { step, secondsPerStep } of sampled) if (step > 0) expect(secondsPerStep).toBeGreaterThan(0);
  });

  it('promises nothing before a step was measured, then an end that comes nearer', () => {
    const first = events.findIndex(({ phase, step }) => phase === 'sample' && step > 0);
    expect(events.slice(0, first).every(({ eta }) => eta === null)).toBe(true);
    expect(events[first]?.eta).toBeGreaterThan(0);
    for (const { eta } of events.slice(first)) expect(eta).not.toBeNull();
  });

  it('speaks of no bytes', () => {
    expect(events.every(({ bytes, totalBytes }) => bytes === 0 && totalBytes === 0)).toBe(true);
  });
});

describe('progress of other jobs', () => {
  const collect = async (run: (onProgress: (event: ProgressEvent) => void) => Promise<unknown>) => {
    const events: ProgressEvent[] = [];
    await run((event) => void events.push(event));
    expectWellFormed(events);
    return events;
  };

  it('img2img encodes its picture first', async () => {
    const image = paint((x, y) => [x * 4, y * 4, 0]);
    const events = await collect((onProgress) =>
      fixture.model.img2img({ ...tiny, image, denoisingStrength: 0.5, onProgress }),
    );
    expect(course(events)).toEqual(['encode 0', 'sample 1', 'decode 1']);
  });

  it('a tiled decode tells its tiles', async () => {
    const events = await collect((onProgress) =>
      fixture.model.txt2img({
        ...tiny,
        steps: 1,
        width: edge * 2,
        height: edge * 2,
        tiling: { tileSize: 8 },
        onProgress,
      }),
    );
    const tiles = events.filter(({ phase }) => phase === 'tile');
    const total = tiles.at(-1)?.total ?? 0;
    // A picture of 16 cells in tiles of 8: two a side at least, more for the overlap.
    expect(total).toBeGreaterThanOrEqual(4);
    expect(tiles.at(-1)?.step).toBe(total);
    expect(course(events).filter((name) => name.startsWith('tile'))).not.toEqual([]);
  });

  it('loading tells bytes up to the end', async () => {
    const { checkpoint, taesd } = fixture.model.info.files;
    if (checkpoint === undefined || taesd === undefined) throw new Error('not the embedded model');
    const events = await collect(async (onProgress) => {
      await using model = await fixture.runtime.loadModel({ checkpoint, taesd, onProgress });
      expect(model.info.embedded).toBe(false);
    });
    expect(new Set(events.map(({ phase }) => phase))).toEqual(new Set<Phase>(['load']));
    const told = events.filter(({ totalBytes }) => totalBytes > 0);
    for (const [index, { bytes, totalBytes }] of told.entries()) {
      expect(bytes).toBeGreaterThanOrEqual(told[index - 1]?.bytes ?? 0);
      expect(bytes).toBeLessThanOrEqual(totalBytes);
    }
    const last = told.at(-1);
    expect(last?.bytes).toBe(last?.totalBytes);
    // The embedded files are f16 and stay so: what is read is what is kept, but for a few tensors widened to f32.
    const kept = fixture.model.info.bytes;
    expect(last?.totalBytes).toBeGreaterThan(kept * 0.9);
    expect(last?.totalBytes).toBeLessThanOrEqual(kept);
    expect(told.length).toBeGreaterThan(1);
  });

  it('a listener that throws breaks nothing', async () => {
    const expected = hashes(await fixture.model.txt2img(tiny));
    const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    const onProgress = (): never => {
      throw new Error('listener');
    };
    expect(hashes(await fixture.model.txt2img({ ...tiny, onProgress }))).toEqual(expected);
    const warnings = warned.mock.calls.map(([warning]) => String(warning));
    warned.mockRestore();
    expect(warnings.length).toBeGreaterThan(1);
  });
});

describe('previews', () => {
  const steps = 5;
  const draw = async (preview: object, batchSize = 1): Promise<{ previews: PreviewEvent[]; drawn: string[] }> => {
    const previews: PreviewEvent[] = [];
    const onPreview = (event: PreviewEvent): void => void previews.push(event);
    const result = await fixture.model.txt2img({ ...tiny, steps, batchSize, preview, onPreview });
    return { previews, drawn: hashes(result) };
  };

  it.each([
    ['projection', edge / 8],
    ['taesd', edge],
    ['vae', edge],
  ] as const)('by %s, every 2 steps, change no byte', async (mode, size) => {
    const { previews, drawn } = await draw({ mode, every: 2 });
    expect(previews.map(({ step }) => step)).toEqual([2, 4]);
    for (const { type, total, image, images, preview } of previews) {
      expect({ type, total, image, images }).toEqual({ type: 'preview', total: steps, image: 1, images: 1 });
      expect([preview.width, preview.height, preview.channels]).toEqual([size, size, 3]);
      expect(preview.data.length).toBe(size * size * 3);
    }
    expect(new Set(previews.map(({ preview }) => Buffer.from(preview.data).toString('hex'))).size).toBe(2);
    expect(drawn).toEqual(hashes(await fixture.model.txt2img({ ...tiny, steps })));
  });

  it('belong to their image of the batch', async () => {
    const { previews } = await draw({ mode: 'projection', every: steps }, 2);
    expect(previews.map(({ image, images, step }) => ({ image, images, step }))).toEqual([
      { image: 1, images: 2, step: steps },
      { image: 2, images: 2, step: steps },
    ]);
  });

  it('come nearer to the picture', async () => {
    const previews: PreviewEvent[] = [];
    const { images } = await fixture.model.txt2img({
      ...tiny,
      steps,
      preview: { mode: 'taesd' },
      onPreview: (event) => void previews.push(event),
    });
    const final = images[0]?.data ?? new Uint8Array();
    const distance = ({ preview }: PreviewEvent): number =>
      preview.data.reduce((sum, value, i) => sum + Math.abs(value - (final[i] ?? 0)), 0);
    const [first, last] = [previews[0], previews.at(-1)];
    if (first === undefined || last === undefined) throw new Error('no previews');
    expect(distance(last)).toBeLessThan(distance(first));
  });

  it('are not made when nobody looks', async () => {
    const events: ProgressEvent[] = [];
    await fixture.model.txt2img({
      ...tiny,
      preview: { mode: 'taesd' },
      onProgress: (event) => void events.push(event),
    });
    expect(events.every(({ type }) => type === 'progress')).toBe(true);
  });
});
