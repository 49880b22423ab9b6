#!/usr/bin/env node
/**
 * `npm run prebuilds`: puts the addon, its libraries and its backend modules, stripped, into prebuilds/<platform>-<arch>,
 * where the loader looks. prebuildify takes the addon out of build/Release; the next build puts it back in a second.
 */
import { join } from 'node:path';
import { root } from './tools/paths.mjs';
import { runTool } from './tools/run.mjs';
import { entry } from './tools/say.mjs';

entry(import.meta.url, async () => {
  const musl = process.platform === 'linux' && process.report.getReport().header.glibcVersionRuntime === undefined;
  const bridge = join(root, 'scripts/gyp-build.mjs');
  const platform = musl ? ['--platform', 'linuxmusl'] : [];
  await runTool('prebuildify', ['--napi', '--strip', '--node-gyp', bridge, ...platform]);
});
