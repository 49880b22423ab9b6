#!/usr/bin/env node
/**
 * How long a picture takes beside busy processes: `node scripts/busy.mjs [ADDON …]` after npm run build. Each round draws
 * with every addon in turn (default: the one that was built), beside none, and then one to three processes that do nothing but
 * count. Prints milliseconds, the median of three pictures in each of two rounds; `-`: not all were done, each three within two minutes.
 */
import { spawn } from 'node:child_process';
import { join, resolve } from 'node:path';
import { addonFile, root } from './tools/paths.mjs';
import { entry, say } from './tools/say.mjs';

const picture = `
const { createRuntime } = await import(process.env.DIST);
const runtime = await createRuntime({ backend: 'cpu' });
const model = await runtime.loadModel({ mmap: true });
const request = { prompt: 'a red apple', width: 64, height: 64, steps: 8, sampler: 'euler', cfgScale: 3 };
await model.txt2img({ ...request, steps: 1 });
for (let seed = 1; seed <= 3; seed++) {
  const start = performance.now();
  await model.txt2img({ ...request, seed });
  console.log(Math.round(performance.now() - start));
}
await runtime.dispose();`;

const median = (list) =>
  Math.round(
    [...list]
      .sort((a, b) => a - b)
      .slice(2, 4)
      .reduce((sum, ms) => sum + ms / 2, 0),
  );

/** Milliseconds of three pictures in a process of their own; fewer when the time is up. */
function draw(addon) {
  const env = { ...process.env, DIST: join(root, 'dist/index.js'), NODE_DIFFUSION_BINARY: addon };
  const node = [process.execPath, ['--input-type=module', '-e', picture]];
  const child = spawn(...node, { env, stdio: ['ignore', 'pipe', 'inherit'], timeout: 120_000 });
  let text = '';
  child.stdout.on('data', (piece) => (text += piece));
  return new Promise((done) => child.on('close', () => done(text.trim().split('\n').filter(Boolean).map(Number))));
}

entry(import.meta.url, async (addons) => {
  const all = addons.length > 0 ? addons.map((addon) => resolve(addon)) : [addonFile];
  const busy = [];
  try {
    for (let others = 0; others <= 3; others++) {
      if (others > 0) busy.push(spawn(process.execPath, ['-e', 'for (;;);'], { stdio: 'ignore' }));
      const times = all.map(() => []);
      for (let round = 0; round < 2; round++)
        for (const [at, addon] of all.entries()) times[at].push(...(await draw(addon)));
      const medians = times.map((list) => (list.length < 6 ? '-' : median(list)));
      say(`beside ${others} busy processes: ${medians.join(' | ')} ms`);
    }
  } finally {
    for (const child of busy) child.kill();
  }
  return 0;
});
