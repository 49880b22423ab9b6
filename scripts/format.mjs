#!/usr/bin/env node
/** `npm run format`: rewrites our sources in their format (Biome for TypeScript, scripts and JSON; clang-format for C++). */
import { cppFiles } from './tools/cpp.mjs';
import { run, runTool, which } from './tools/run.mjs';
import { entry, say } from './tools/say.mjs';

entry(import.meta.url, async () => {
  await runTool('@biomejs/biome', ['format', '--write', '.'], { tool: 'biome' });
  if (which('clang-format') === null) say('clang-format: not installed, C++ left as it is');
  else await run('clang-format', ['-i', ...cppFiles()]);
});
