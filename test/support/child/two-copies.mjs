// Two copies of the addon, from two folders, in one process: `node two-copies.mjs BINARY BINARY`.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRuntime, ensureEmbeddedModel } from '../../../dist/index.js';
import { fits, mapped, say } from './common.mjs';

const { checkpoint, taesd } = await ensureEmbeddedModel();
const copies = [];
for (const binary of process.argv.slice(2)) {
  const runtime = await createRuntime({ binary, backend: 'cpu', threads: 1 });
  copies.push({ runtime, model: await runtime.loadModel(mapped({ checkpoint, taesd })) });
}
const pictures = await Promise.all(
  copies.map(({ model }) => model.txt2img({ prompt: 'a red apple', steps: 2, cfgScale: 1, seed: 7, ...fits })),
);
for (const [i, { images }] of pictures.entries()) {
  const { runtime } = copies[i];
  const failed = runtime.backends.filter(({ loaded }) => !loaded);
  const devices = runtime.devices.map(({ name }) => name);
  const sha256 = createHash('sha256').update(images[0].data).digest('hex');
  say({ binary: runtime.binary, backend: runtime.backend, devices, failed, sha256 });
}
await copies[0].runtime.dispose();
const { images } = await copies[1].model.txt2img({ prompt: 'a red apple', steps: 2, cfgScale: 1, seed: 7, ...fits });
const maps = readFileSync('/proc/self/maps', 'utf8');
const libraries = [...new Set(maps.match(/\/.*ggml.*\.so$/gm))];
say({ after: createHash('sha256').update(images[0].data).digest('hex'), libraries });
