import { expect, it } from 'vitest';
import {
  createRuntime,
  type Model,
  type ModelEvent,
  type RuntimeOptions,
  type Txt2ImgRequest,
} from '../../lib/index.js';
import { edge, failure, threads, tiny } from '../support/native.js';

const options = { backend: 'openvino', threads } as const satisfies RuntimeOptions;
const request: Txt2ImgRequest = { ...tiny, steps: 1 };
const sizes = [1, 2, 3].map((rows) => ({ ...request, width: edge, height: edge * rows }));

/** What was compiled in jobs, with its reason. */
function listen() {
  const events: string[] = [];
  return {
    events,
    onModel: ({ action, component, reason }: ModelEvent): void => {
      if (action === 'compile') events.push(`${String(component)}: ${reason}`);
    },
  };
}

async function picture(model: Model, given: Txt2ImgRequest): Promise<Buffer> {
  const { images } = await model.txt2img(given);
  return Buffer.from(images[0]?.data ?? []);
}

/** Weights and the largest job of one size alone, which compiles everything; and the pictures of all sizes. */
async function unlimited() {
  await using runtime = await createRuntime(options);
  const model = await runtime.loadModel();
  let most = 0;
  const pictures: Buffer[] = [];
  for (const size of sizes) {
    const { weights, job } = await model.estimate(size);
    most = Math.max(most, weights + job);
  }
  for (const size of sizes) pictures.push(await picture(model, size));
  return { most, pictures };
}

it.each(['none', 'process'] as const)(
  'a job of another size has the memory of graphs that are kept, isolation %s',
  { timeout: 600_000 },
  async (isolation) => {
    const { most, pictures } = await unlimited();
    // One size fits, two never do.
    await using runtime = await createRuntime({ ...options, isolation, memoryLimit: Math.round(most * 1.2) });
    const model = await runtime.loadModel();
    const { events, onModel } = listen();
    for (const turn of [0, 1]) {
      for (const [index, size] of sizes.entries()) {
        events.length = 0;
        expect((await model.estimate(size)).fits).toBe(true);
        const { images } = await model.txt2img({ ...size, onModel });
        expect(Buffer.from(images[0]?.data ?? []).equals(pictures[index] ?? Buffer.alloc(0))).toBe(true);
        const own = events.filter((event) => !event.startsWith('textEncoder'));
        const reason = turn === 0 ? 'new size or network' : 'it had left the cache';
        expect(own).toEqual([`diffusionModel: ${reason}`, `vae: ${reason}`]);
        // Prompts are encoded at no size: that graph is in use by all of them.
        expect(events.length - own.length).toBe(turn + index === 0 ? 1 : 0);
      }
    }
    const { compiled } = await model.memory();
    expect(compiled.diffusionModel).toBeGreaterThan(0);
    // The size that was used last is there, whatever the prompt, and the others are told of.
    const compilesOf = async (given: Txt2ImgRequest): Promise<string[]> => {
      const [pass] = (await model.plan(given)).passes;
      return (pass?.compiles ?? []).map(({ component }) => component);
    };
    const [first, , last] = sizes as [(typeof sizes)[0], unknown, (typeof sizes)[0]];
    expect(await compilesOf({ ...last, prompt: 'another prompt, somewhat longer' })).toEqual([]);
    expect(await compilesOf(first)).toEqual(['diffusionModel', 'vae']);
    // Too much is too much, and is said with what there is; what is kept for that size stays.
    const error = await failure(model.txt2img({ ...last, width: 16 * edge, height: 16 * edge, tiling: false }));
    expect(error.code).toBe('ERR_OUT_OF_MEMORY');
    expect(await compilesOf(last)).toEqual([]);
    events.length = 0;
    await model.txt2img({ ...last, onModel });
    expect(events).toEqual([]);
  },
);

it('what a job compiles was estimated before, network by network', { timeout: 600_000 }, async () => {
  await using runtime = await createRuntime(options);
  const model = await runtime.loadModel();
  const [size] = sizes as [(typeof sizes)[0]];
  const shapes: Txt2ImgRequest[] = [
    size,
    { ...size, prompt: 'x, '.repeat(90) },
    { ...size, prompt: 'y' },
    { ...size, hires: { scale: 2, upscaler: 'latent', steps: 1 } },
    { ...size, preview: { mode: 'taesd' }, onPreview: () => undefined },
  ];
  for (const given of shapes) {
    const planned = (await model.plan(given)).passes.flatMap(({ compiles }) =>
      compiles.map(({ component }) => component),
    );
    const { events, onModel } = listen();
    await model.txt2img({ ...given, onModel });
    expect([...new Set(events.map((event) => event.split(':')[0]))].sort()).toEqual([...new Set(planned)].sort());
    expect((await model.plan(given)).passes.flatMap(({ compiles }) => compiles)).toEqual([]);
  }
});
