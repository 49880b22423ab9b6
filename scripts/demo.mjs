#!/usr/bin/env node
/** `npm run demo`: sets everything up and makes a picture from a prompt; the picture's path is the last line. */
import { join } from 'node:path';
import { setup } from './setup.mjs';
import { root } from './tools/paths.mjs';
import { run } from './tools/run.mjs';
import { entry, say, since } from './tools/say.mjs';

const prompt = 'a red apple';
const picture = join(root, 'demo.png');
const options = ['-o', picture, '--seed', '1', '--size', '128'];

entry(import.meta.url, async () => {
  await setup();
  const start = performance.now();
  say(`painting "${prompt}"`);
  await run(process.execPath, [join(root, 'dist/cli/main.js'), 'generate', prompt, ...options]);
  say(`done (${since(start)})`);
  process.stdout.write(`${picture}\n`);
});
