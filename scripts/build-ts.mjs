#!/usr/bin/env node
/**
 * Compiles lib/ to dist/: ES modules with types and source maps, and the CommonJS door in dist/cjs.
 * esbuild bundles the code, since a process that imports 140 small files spends most of its start on finding them; tsc
 * checks it and writes the types. Works in a folder of its own and swaps it in at the end, so dist/ is never half written.
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

/** The files that are run or imported by name; the first is the package's door. */
const entries = [
  'lib/index.ts',
  'lib/cli/main.ts',
  'lib/isolation/child.ts',
  'lib/isolation/probe-child.ts',
  'lib/bench/child.ts',
  'lib/bench/index.ts',
];
const common = {
  absWorkingDir: root,
  bundle: true,
  platform: 'node',
  target: 'node20.9',
  packages: 'external',
  outbase: 'lib',
  sourcemap: true,
  sourcesContent: false,
  logLevel: 'warning',
};

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
  const cjs = join(work, 'cjs');
  const types = ['--emitDeclarationOnly', '--outDir'];
  await runTool('typescript', ['-p', 'tsconfig.json', ...types, work], { tool: 'tsc' });
  await runTool('typescript', ['-p', 'tsconfig.cjs.json', ...types, cjs], { tool: 'tsc' });
  renameCommonJsTypes(cjs);
  // Loaded here and not above: scripts start before node_modules exists.
  const { build: bundle } = await import('esbuild');
  // Chunks lie beside index.js: lib/here.ts takes the folder above its own for the package's.
  await bundle({
    ...common,
    format: 'esm',
    splitting: true,
    entryPoints: entries,
    outdir: work,
    chunkNames: 'chunk-[hash]',
  });
  await bundle({ ...common, format: 'cjs', entryPoints: entries.slice(0, 1), outdir: cjs, plugins: [hereOfCommonJs] });
  writeFileSync(join(cjs, 'package.json'), '{ "type": "commonjs" }\n');
  chmodSync(join(work, 'cli', 'main.js'), 0o755);
  rmSync(dist, { recursive: true, force: true });
  renameSync(work, dist);
  say(`TypeScript: ready in dist (${since(start)})`);
}

/** `here.commonjs.ts` stands in for `here.ts` in the CommonJS door. */
const hereOfCommonJs = {
  name: 'here',
  setup({ onResolve }) {
    onResolve({ filter: /\/here\.js$/ }, () => ({ path: join(root, 'lib', 'here.commonjs.ts') }));
  },
};

/** As above for its types (tsconfig.cjs.json, `moduleSuffixes`), which take its name in the output. */
function renameCommonJsTypes(folder) {
  // The map keeps its name: the renamed file refers to it.
  renameSync(join(folder, 'here.commonjs.d.ts'), join(folder, 'here.d.ts'));
}

entry(import.meta.url, buildTypeScript);
