// Rounds of everything that holds memory, until the time is over: `node --expose-gc leak.mjs MILLISECONDS UPSCALER.mjs`.
// Writes one line of JSON with its memory after each round, all garbage collected.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { createRuntime, ensureEmbeddedModel } from '../../../dist/index.js';
import { fits, mapped, say } from './common.mjs';

const [milliseconds, upscalerScript] = process.argv.slice(2);
const { checkpoint, taesd } = await ensureEmbeddedModel();
const files = { checkpoint, taesd };
const runtime = await createRuntime({ threads: 1 });
// Room for four prompts, so that the cache is full after the first round and every later one pushes some out.
const model = await runtime.loadModel({ ...mapped(files), conditioningCacheBytes: 2 ** 20 });
const request = { steps: 1, cfgScale: 1, ...fits };

const scratch = mkdtempSync(join(tmpdir(), 'nd-leak-'));
process.on('exit', () => rmSync(scratch, { recursive: true, force: true }));
process.on('SIGINT', () => process.exit(130)).on('SIGTERM', () => process.exit(143));
const upscalerFile = join(scratch, 'upscaler.safetensors');
const { writeUpscaler } = await import(pathToFileURL(upscalerScript).href);
await writeUpscaler(upscalerFile, { scale: 2, weights: 'nearest' });

/** Whatever is done here leaves nothing behind. */
const rounds = [
  async function generations(i) {
    // Prompts differ, so each is encoded and pushes older ones out of the cache.
    const onPreview = () => undefined;
    const { images } = await model.txt2img({
      ...request,
      prompt: `apple ${i}`,
      negativePrompt: `pear ${i}`,
      cfgScale: 2,
      seed: i,
      preview: { mode: 'vae', every: 1 },
      onPreview,
    });
    await model.img2img({ ...request, prompt: 'a red apple', image: images[0], denoisingStrength: 0.5, steps: 2 });
    await images[0].toPng();
    for await (const event of model.txt2imgStream({ ...request, prompt: 'a red apple', batchSize: 2 })) {
      if (event.type === 'image') break;
    }
  },
  async function parts(i) {
    const conditioning = await model.encodePrompt({ prompt: `a part ${i}` });
    const latent = await model.sample({ ...request, conditioning, seed: i });
    conditioning.dispose();
    const [image] = await model.decodeLatent({ latent, tiling: { tileSize: 4, overlap: 0 } });
    await model.encodeImage({ image });
  },
  async function aborts(i) {
    for (const phase of ['encode', 'sample', 'decode']) {
      const controller = new globalThis.AbortController();
      const onProgress = (event) => event.phase === phase && controller.abort();
      await model
        .txt2img({ ...request, prompt: `aborted ${i}`, signal: controller.signal, onProgress })
        .catch(() => undefined);
    }
    await model.sigmas();
  },
  async function failures() {
    const wrong = [
      () => model.txt2img({ ...request, prompt: 'x', width: 63 }),
      () => model.img2img({ ...request, prompt: 'x', image: Buffer.from('not a picture') }),
      () => runtime.loadModel({ checkpoint: join(scratch, 'missing.safetensors') }),
      () => runtime.loadModel({ checkpoint: upscalerFile }),
    ];
    for (const fail of wrong) {
      const failed = await fail().then(
        () => false,
        () => true,
      );
      if (!failed) throw new Error('what must fail did not');
    }
  },
  async function loads() {
    const other = await runtime.loadModel(mapped(files));
    await other.txt2img({ ...request, prompt: 'a red apple' });
    await other.dispose();
    const controller = new globalThis.AbortController();
    const load = runtime.loadModel({
      ...mapped(files),
      signal: controller.signal,
      onProgress: () => controller.abort(),
    });
    await load.catch(() => undefined);
  },
  async function upscales() {
    const upscaler = await runtime.loadUpscaler({ file: upscalerFile, tileSize: 16 });
    const image = { width: 24, height: 24, channels: 3, data: new Uint8Array(24 * 24 * 3) };
    await upscaler.upscale({ image });
    await upscaler.dispose();
  },
  async function threads(i) {
    // One that returns by itself, then one that is ended while its model works.
    const [state, end] = i % 2 === 0 ? ['picture', 'natural'] : ['sampling', 'terminate'];
    const worker = new Worker(new URL('thread.mjs', import.meta.url), {
      workerData: { files, state, end, request: { ...request, prompt: 'a red apple' } },
    });
    const ended = new Promise((resolve) => worker.on('exit', resolve));
    await new Promise((resolve, reject) => {
      worker.on('message', ({ ready }) => ready !== undefined && resolve());
      worker.on('error', reject);
    });
    if (end === 'terminate') await worker.terminate();
    await ended;
  },
];

const started = performance.now();
for (let round = 1; performance.now() - started < Number(milliseconds); round++) {
  for (const work of rounds) await work(round);
  for (let i = 0; i < 3; i++) {
    globalThis.gc();
    await sleep(20);
  }
  const { rss, external, arrayBuffers, heapUsed } = process.memoryUsage();
  say({ round, seconds: Math.round((performance.now() - started) / 100) / 10, rss, external, arrayBuffers, heapUsed });
}
await runtime.dispose();
