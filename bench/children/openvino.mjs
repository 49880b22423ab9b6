/** Both backends in one process with the same weights: the parts of a picture, in turn. */
import { createRuntime } from 'node-diffusion';

const { checkpoint, taesd, threads, request } = JSON.parse(process.argv[2]);
const names = ['openvino', 'cpu'];
const models = {};
const runtimes = [];
for (const backend of names) {
  const runtime = await createRuntime({ backend, threads });
  runtimes.push(runtime);
  models[backend] = await runtime.loadModel({ checkpoint, taesd });
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
  const sampling = { conditioning, ...size, steps: request.steps, cfgScale: 1, sampler: 'euler', seed: 1 };
  const [sample, latent] = await time(() => model.sample(sampling));
  const [decode] = await time(() => model.decodeLatent({ latent }));
  conditioning.dispose();
  return { encode, step: sample / request.steps, decode, total: encode + sample + decode };
}

const sizes = {};
for (const side of request.sizes) {
  const start = performance.now();
  await parts(models.openvino, side);
  const first = performance.now() - start;
  await parts(models.cpu, side);
  sizes[side] = { first, openvino: [], cpu: [] };
  for (let turn = 0; turn < request.repeat; turn++) {
    for (const name of turn % 2 === 0 ? names : names.toReversed())
      sizes[side][name].push(await parts(models[name], side));
  }
}
const rss = process.memoryUsage.rss();
for (const runtime of runtimes) await runtime.dispose();
console.log(JSON.stringify({ sizes, rss }));
