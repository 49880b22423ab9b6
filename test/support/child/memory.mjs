// Estimates a job, runs it, and tells both numbers: `node memory.mjs JSON`, with { runtime, load, requests }. With
// `start: [width, height]` a request is img2img from a picture of that size, with `only: 'encode'` that picture is
// encoded and nothing else is done.
// The peak is the kernel's (VmHWM, set back before the job); the level before is that of the loaded model.
import { createHash } from 'node:crypto';
import { createRuntime } from '../../../dist/index.js';
import { memory, paint, resetPeak, say } from './common.mjs';

const { runtime: options = {}, load = {}, requests } = JSON.parse(process.argv[2] ?? '{}');

async function run({ image, ...request }, part) {
  if (part === 'encode') {
    const latent = await model.encodeImage({ image });
    return { images: [{ data: latent.toFloat32Array() }], warnings: [] };
  }
  return image === undefined ? model.txt2img(request) : model.img2img({ image, ...request });
}

const start = memory('VmRSS');
const runtime = await createRuntime({ backend: 'cpu', threads: 1, ...options });
const model = await runtime.loadModel(load);
const loaded = memory('VmRSS');
say({ load: { weights: model.info.bytes, level: loaded - start, peak: memory('VmHWM') - start } });
for (const { start: size, only, ...request } of requests) {
  const models = [];
  const phases = new Set();
  const listeners = {
    ...(request.preview === undefined ? {} : { onPreview: () => undefined }),
    ...(only === undefined && size === undefined
      ? { onModel: ({ action, model: name }) => models.push(`${action} ${name}`) }
      : {}),
    onProgress: ({ phase }) => phases.add(phase),
  };
  const whole = { ...request, ...listeners, ...(size === undefined ? {} : { image: paint(size) }) };
  const begin = performance.now();
  const estimate = await model.estimate(whole);
  const first = performance.now() - begin;
  // The best of some: other programs may hold the processor for a while.
  let cached = Infinity;
  for (let i = 0; i < 5; i++) {
    const again = performance.now();
    await model.estimate(whole);
    cached = Math.min(cached, performance.now() - again);
  }
  const none = { unloads: [], peak: NaN };
  const { unloads, peak: planned } = only === undefined ? await model.plan(whole).catch(() => none) : none;
  resetPeak();
  const before = memory('VmRSS');
  const seen = () => ({ unloads, planned, models, phases: [...phases] });
  try {
    const { images, warnings } = await run(whole, only);
    const peak = memory('VmHWM');
    const hash = createHash('sha256');
    for (const { data } of images) hash.update(data);
    say({
      job: {
        estimate,
        first,
        cached,
        measured: peak - before,
        sinceLoad: peak - loaded,
        sinceStart: peak - start,
        warnings,
        hash: hash.digest('hex'),
        ...seen(),
      },
    });
  } catch (error) {
    const measured = memory('VmHWM') - before;
    say({ job: { estimate, first, cached, measured, refused: error.code, message: error.message, ...seen() } });
  }
}
await runtime.dispose();
