// Makes the same picture over and over while a file is there, and once more: `node while.mjs ADDON FILE`.
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { createRuntime, ensureEmbeddedModel } from '../../../dist/index.js';
import { fits, mapped, say } from './common.mjs';

const [binary, flag] = process.argv.slice(2);
const runtime = await createRuntime({ backend: 'cpu', threads: 1, binary });
const model = await runtime.loadModel(mapped(await ensureEmbeddedModel()));
const hashes = new Set();
let pictures = 0;
const draw = async () => {
  const { images } = await model.txt2img({ prompt: 'a red apple', steps: 1, cfgScale: 1, seed: 7, ...fits });
  hashes.add(createHash('sha256').update(images[0].data).digest('hex'));
  say({ pictures: ++pictures });
};
do await draw();
while (existsSync(flag));
await draw();
await runtime.dispose();
say({ done: { pictures, different: hashes.size } });
