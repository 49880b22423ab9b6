#!/usr/bin/env node
/**
 * Compiles lib/ to dist/: ES modules with types and source maps, and the CommonJS door in dist/cjs.
 * Works in a folder of its own and swaps it in at the end, so dist/ is never half written.
 */
import { chmodSync, existsSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fingerprint, listFiles, stamp } from './tools/files.mjs';
import { locked } from './tools/lock.mjs';
import { buildDir, root } from './tools/paths.mjs';
import { runTool } from './tools/run.mjs';
import { entry, say, since } from './tools/say.mjs';

const inputs = ['lib', 'tsconfig.json', 'tsconfig.cjs.json', 'scripts/build-ts.mjs', 'package-lock.json'];
const dist = join(root, 'dist');
const work = join(root, 'build-ts');

/** Builds dist/ unless it is made of the same sources already. */
export async function buildTypeScript() {
  const done = stamp('typescript');
  const state = fingerprint(listFiles(inputs));
  const upToDate = () => done.matches(state) && existsSync(join(dist, 'index.js'));
  if (upToDate()) return say('TypeScript: nothing to do');
  await locked(join(buildDir, '.lock-ts'), 'TypeScript', async () => {
    if (upToDate()) return;
    await build();
    done.write(state);
  });
}

async function build() {
  const start = performance.now();
  rmSync(work, { recursive: true, force: true });
  await runTool('typescript', ['-p', 'tsconfig.json', '--outDir', work], { tool: 'tsc' });
  await runTool('typescript', ['-p', 'tsconfig.cjs.json', '--outDir', join(work, 'cjs')], { tool: 'tsc' });
  renameCommonJsFiles(join(work, 'cjs'));
  writeFileSync(join(work, 'cjs', 'package.json'), '{ "type": "commonjs" }\n');
  const cli = join(work, 'cli', 'main.js');
  if (existsSync(cli)) chmodSync(cli, 0o755);
  rmSync(dist, { recursive: true, force: true });
  renameSync(work, dist);
  say(`TypeScript: ready in dist (${since(start)})`);
}

/** `here.commonjs.ts` stands in for `here.ts` (tsconfig.cjs.json, `moduleSuffixes`) and takes its name in the output. */
function renameCommonJsFiles(folder) {
  // The maps keep their names: the renamed files refer to them.
  for (const end of ['js', 'd.ts']) {
    const from = join(folder, `here.commonjs.${end}`);
    if (existsSync(from)) renameSync(from, join(folder, `here.${end}`));
  }
}

entry(import.meta.url, buildTypeScript);
