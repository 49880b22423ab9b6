/** One or both backends in one process with the same weights: the parts of a picture in turn, and a whole job. */
import { createRuntime } from 'node-diffusion';

const { threads, request } = JSON.parse(process.argv[2]);
const { load, backends, sizes, steps, repeat, job } = request;
const models = {};
const runtimes = [];
for (const backend of backends) {
  const runtime = await createRuntime({ backend, threads });
  runtimes.push(runtime);
  models[backend] = await runtime.loadModel(load);
}

async function time(work) {
  const start = performance.now();
  const result = await work();
  return [performance.now() - start, result];
}

let prompts = 0;
/** Milliseconds of each part of one picture of a size: text encoder, one evaluation of the UNet, VAE decode. */
async function parts(model, side) {
  const size = { width: side, height: side };
  const prompt = `a red apple, number ${prompts++}`;
  const [encode, conditioning] = await time(() => model.encodePrompt({ prompt, negativePrompt: null, ...size }));
  const sampling = { conditioning, ...size, steps, cfgScale: 1, sampler: 'euler', seed: 1 };
  const [sample, latent] = await time(() => model.sample(sampling));
  const [decode] = await time(() => model.decodeLatent({ latent }));
  conditioning.dispose();
  return { encode, step: sample / steps, decode, total: encode + sample + decode };
}

const measured = {};
for (const side of sizes) {
  const runs = Object.fromEntries(backends.map((backend) => [backend, []]));
  const first = {};
  for (const backend of backends) first[backend] = await parts(models[backend], side);
  for (let turn = 0; turn < repeat; turn++) {
    for (const backend of turn % 2 === 0 ? backends : backends.toReversed())
      runs[backend].push(await parts(models[backend], side));
  }
  measured[side] = { first, runs };
}

/** Milliseconds of a whole job whose graphs are compiled already: a picture of one step before it did that. */
async function whole({ side, steps: count }) {
  const picture = { prompt: 'a red apple', width: side, height: side, cfgScale: 1, sampler: 'euler', seed: 1 };
  const [model] = Object.values(models);
  await model.txt2img({ ...picture, steps: 1 });
  const [ms] = await time(() => model.txt2img({ ...picture, prompt: 'a green apple', steps: count }));
  return ms;
}

const jobTime = job === undefined ? null : await whole(job);
// Kilobytes, the most that were resident at any time.
const peak = process.resourceUsage().maxRSS * 1024;
for (const runtime of runtimes) await runtime.dispose();
console.log(JSON.stringify({ sizes: measured, job: jobTime, peak }));
