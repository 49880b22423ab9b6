import { createRuntime } from 'node-diffusion';

const { checkpoint, taesd, threads, request } = JSON.parse(process.argv[2]);
const runtime = await createRuntime({ backend: 'cpu', threads });
const model = await runtime.loadModel({ checkpoint, taesd });

async function time(prompt) {
  const start = performance.now();
  const conditioning = await model.encodePrompt({ prompt, negativePrompt: null });
  const elapsed = performance.now() - start;
  conditioning.dispose();
  return elapsed;
}

// The engine and the just-in-time compiler warm up on a prompt that does not count.
await time('warm up');
await time('warm up');
const misses = [];
const hits = [];
for (let index = 0; index < request.prompts; index++) {
  misses.push(await time(`a red apple, number ${index}`));
  hits.push(await time(`a red apple, number ${index}`));
}
await runtime.dispose();
console.log(JSON.stringify({ misses, hits }));
