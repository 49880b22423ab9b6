import { createRuntime } from 'node-diffusion';

const { checkpoint, taesd, threads } = JSON.parse(process.argv[2]);
let tensors = Number.NaN;
const logger = (_level, message) => {
  const seconds = /loading tensors completed, taking ([\d.]+)s/.exec(message)?.[1];
  if (seconds !== undefined) tensors = Number(seconds) * 1000;
};
const runtime = await createRuntime({ backend: 'cpu', threads, logLevel: 'info', logger });
const start = performance.now();
await runtime.loadModel({ checkpoint, taesd });
const load = performance.now() - start;
await runtime.dispose();
console.log(JSON.stringify({ load, tensors }));
