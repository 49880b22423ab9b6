#!/usr/bin/env node
/** `npm run clean`: removes what the builds made; node_modules and the engine's source stay. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './tools/paths.mjs';
import { entry } from './tools/say.mjs';

entry(import.meta.url, async () => {
  for (const name of ['build', 'build-ts', 'dist', 'demo.png'])
    rmSync(join(root, name), { recursive: true, force: true });
});
