// Opens every file of a list, through the package or through the raw addon, and says before and after each what came.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { join } from 'node:path';
import { say } from './common.mjs';

const [list, dist] = process.argv.slice(2);
const { createRuntime, DiffusionError, inspectModel } = await import(pathToFileURL(join(dist, 'index.js')).href);
const { cases, valid, options } = JSON.parse(readFileSync(list, 'utf8'));
const runtime = await createRuntime({ backend: 'cpu', threads: 1 });
const addon = createRequire(import.meta.url)(runtime.binary);

/** What the addon rejects with is a plain Error with a code; what the package rejects with is a DiffusionError. */
async function outcome(raw, work) {
  try {
    await work();
    return { ok: true };
  } catch (error) {
    const typed = raw ? error instanceof Error && typeof error.code === 'string' : error instanceof DiffusionError;
    return { ok: false, typed, code: error?.code, message: String(error?.stack ?? error).slice(0, 500) };
  }
}

async function load({ path, role, raw, mmap }) {
  const files = role === 'checkpoint' || role === 'diffusionModel' ? { [role]: path } : { checkpoint: valid, [role]: path };
  if (role === 'upscaler') {
    const request = { file: path, device: 'CPU', threads: 1, convDirect: false, offloadToCpu: false, memoryBudget: 0 };
    const upscaler = raw ? await addon.loadUpscaler(request, null).promise : await runtime.loadUpscaler({ file: path });
    await upscaler.dispose();
  } else if (raw) {
    const model = await addon.loadModel({ ...options, mmap, files }, null).promise;
    await model.dispose();
  } else {
    const model = await runtime.loadModel({ ...files, mmap });
    await model.dispose();
  }
}

async function inspect({ path, role, raw }) {
  if (!raw) await inspectModel(path);
  else if (role === 'checkpoint' || role === 'diffusionModel') await addon.inspect({ [role]: path }).promise;
  else if (role !== 'upscaler') await addon.inspect({ checkpoint: valid, [role]: path }).promise;
}

for (const entry of cases) {
  say({ begin: entry.id });
  const started = performance.now();
  const inspected = await outcome(entry.raw, () => inspect(entry));
  const loaded = await outcome(entry.raw, () => load(entry));
  const { rss } = process.memoryUsage();
  say({ end: entry.id, inspected, loaded, rss, peak: process.resourceUsage().maxRSS * 1024, ms: performance.now() - started });
}
await runtime.dispose();
say({ done: true });
