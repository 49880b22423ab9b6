// Eight pictures with a hires checkpoint, in one job or in eight.
import { copyFileSync, existsSync } from 'node:fs';
import { join } from 'node:path';

const { checkpoint, taesd, threads, folder, request, jobs } = JSON.parse(process.argv[2]);
const second = join(folder, 'second.safetensors');
if (!existsSync(second)) copyFileSync(checkpoint, second);
const { createRuntime } = await import('node-diffusion');
const runtime = await createRuntime({ backend: 'cpu', threads });
const start = performance.now();
const model = await runtime.loadModel({ checkpoint, taesd });
let loads = 1;
const switches = [];
const onModel = ({ action, ms }) => {
  if (action === 'load') loads++;
  if (action === 'switch') switches.push(ms);
};
const hires = { ...request.hires, checkpoint: second, modules: [taesd] };
for (let job = 0; job < jobs; job++) {
  const seed = request.seed + (job * 8) / jobs;
  await model.txt2img({ ...request, hires, seed, batchSize: 8 / jobs, onModel });
}
const seconds = (performance.now() - start) / 1000;
await runtime.dispose();
console.log(JSON.stringify({ seconds, loads, switches }));
