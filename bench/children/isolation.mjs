import { createHash } from 'node:crypto';
import { createRuntime } from 'node-diffusion';

const { checkpoint, taesd, threads, request } = JSON.parse(process.argv[2]);

async function side(isolation) {
  const runtime = await createRuntime({ backend: 'cpu', threads, isolation });
  return { runtime, model: await runtime.loadModel({ checkpoint, taesd }), times: [], hashes: [] };
}

const sides = [await side('none'), await side('process')];
let previews = 0;

async function picture({ model }, prompt) {
  const start = performance.now();
  const { images } = await model.txt2img({
    ...{ prompt, seed: 1, width: 128, height: 128, cfgScale: 3, steps: request.steps },
    ...{ sampler: 'euler', schedule: 'discrete', preview: { mode: 'projection', every: 1 } },
    onPreview: () => previews++,
  });
  return { time: performance.now() - start, hash: createHash('sha256').update(images[0].data).digest('hex') };
}

for (const one of sides) await picture(one, 'to warm up');
for (let turn = 0; turn < request.repeat; turn++) {
  const order = turn % 2 === 0 ? sides : [...sides].reverse();
  for (const one of order) {
    // A prompt that no cache holds, so that the way of every operation is measured.
    const { time, hash } = await picture(one, `a red apple, number ${turn}`);
    one.times.push(time);
    one.hashes.push(hash);
  }
}
const [here, there] = sides;
if (here.hashes.join() !== there.hashes.join()) throw new Error('The pictures of both sides differ');
for (const { runtime } of sides) await runtime.dispose();
console.log(JSON.stringify({ here: here.times, there: there.times, previews }));
