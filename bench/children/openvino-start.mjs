/**
 * One process: what the first evaluation of a size takes longer than those after it, with and without a disk cache that
 * was filled before, and the same for each new set of LoRAs.
 */
import { createRuntime } from 'node-diffusion';

const { checkpoint, taesd, threads, request } = JSON.parse(process.argv[2]);
const { cache, diskCache, weightInputs, side, loras } = request;
process.env.NODE_DIFFUSION_CACHE = cache;
const compiled = [];
const logger = (_level, line) => {
  const [, how, ms] = /openvino: (compiled|read) \d+ nodes in (\d+) ms/.exec(line) ?? [];
  if (how !== undefined) compiled.push({ how, ms: Number(ms) });
};
const openvino = { diskCache, weightInputs };
const runtime = await createRuntime({ backend: 'openvino', threads, openvino, logLevel: 'info', logger });
const model = await runtime.loadModel({ checkpoint, taesd });
const size = { width: side, height: side, steps: 1, cfgScale: 1, sampler: 'euler', seed: 1 };

/** Milliseconds of the evaluation of one picture. */
async function evaluation(set) {
  const { timings } = await model.txt2img({ prompt: 'a red apple', ...size, loras: set });
  return timings.sample * 1000;
}

/** How much longer the first of some evaluations takes than the fastest of those after it. */
async function overhead(set = []) {
  const first = await evaluation(set);
  const after = [await evaluation(set), await evaluation(set), await evaluation(set)];
  return { overhead: first - Math.min(...after), step: Math.min(...after) };
}

const start = await overhead();
const sets = [];
for (const path of loras) sets.push(await overhead([{ path }]));
const rss = process.memoryUsage.rss();
await runtime.dispose();
console.log(JSON.stringify({ start, sets, compiled, rss }));
