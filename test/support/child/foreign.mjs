// Another package's addon with a ggml of its own is loaded first: `node foreign.mjs ADDON`.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createRuntime, ensureEmbeddedModel } from '../../../dist/index.js';
import { fits, mapped, say } from './common.mjs';

const [addon] = process.argv.slice(2);
if (addon !== undefined) createRequire(import.meta.url)(addon);
const runtime = await createRuntime({ backend: 'cpu', threads: 1 });
const model = await runtime.loadModel(mapped(await ensureEmbeddedModel()));
const { images } = await model.txt2img({ prompt: 'a red apple', steps: 2, cfgScale: 1, seed: 7, ...fits });
const maps = readFileSync('/proc/self/maps', 'utf8');
const libraries = [...new Set(maps.match(/\/\S*ggml\S*\.so/g))];
say({ sha256: createHash('sha256').update(images[0].data).digest('hex'), libraries });
