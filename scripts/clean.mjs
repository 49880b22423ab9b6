#!/usr/bin/env node
/**
 * `npm run clean`: removes what the builds made, prebuilds too, which the loader would use in place of the build; node_modules
 * and what was fetched stay.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './tools/paths.mjs';
import { entry } from './tools/say.mjs';

entry(import.meta.url, async () => {
  for (const name of ['build', 'build-docs', 'build-ts', 'dist', 'prebuilds', 'demo.png'])
    rmSync(join(root, name), { recursive: true, force: true });
});
