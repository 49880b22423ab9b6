#!/usr/bin/env node
/**
 * Builds the CUDA backend module in a folder of its own, build-cuda, and copies it beside the addon. It takes long and can be
 * interrupted: a later run goes on with the files that are left.
 *
 *   node scripts/build-cuda.mjs [--arch 86-real[;...]] [--file scale.cu]
 *
 * --arch: GPUs to compile for, as CMake names them (default: all that nvcc 13 knows, native/cmake/NdCuda.cmake).
 * --file: compiles that one source and stops, to try the toolchain.
 */
import { copyFileSync, existsSync, renameSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { cudaPackage } from './cuda-package.mjs';
import { engineSource } from './engine-source.mjs';
import { addonFile, root, vendorDir } from './tools/paths.mjs';
import { run, which } from './tools/run.mjs';
import { entry, say, since } from './tools/say.mjs';

const folder = join(root, 'build-cuda');
const module = join(folder, 'Release', 'libggml-cuda.so');

/** @param options `arch`: null for all; `file`: null for the whole module. */
async function buildCuda({ arch = null, file = null }) {
  const start = performance.now();
  const source = await engineSource();
  await cudaPackage();
  const launchers = which('ccache') === null ? [] : ['C', 'CXX', 'CUDA'];
  const definitions = [
    'CMAKE_BUILD_TYPE=Release',
    'ND_BUILD_ADDON=OFF',
    'ND_CUDA=ON',
    `SDCPP_SOURCE_DIR=${source === vendorDir ? '' : source}`,
    ...(arch === null ? [] : [`ND_CUDA_ARCHITECTURES=${arch}`]),
    ...launchers.map((name) => `CMAKE_${name}_COMPILER_LAUNCHER=ccache`),
  ];
  const generator = which('ninja') === null ? [] : ['-G', 'Ninja'];
  await run('cmake', ['-S', root, '-B', folder, ...generator, ...definitions.map((text) => `-D${text}`)]);
  const jobs = Number(process.env.CMAKE_BUILD_PARALLEL_LEVEL) || availableParallelism();
  const target = file === null ? 'ggml-cuda' : `ggml/src/ggml-cuda/CMakeFiles/ggml-cuda.dir/${file}.o`;
  await run('cmake', ['--build', folder, '--parallel', String(jobs), '--target', target]);
  if (file !== null) return say(`CUDA build: ${file} compiles (${since(start)})`);
  if (existsSync(dirname(addonFile))) place();
  say(`CUDA build: ${module} (${since(start)})`);
}

/** Puts the module beside the addon as a new file: whoever has the one before open keeps it whole. */
function place() {
  const target = join(dirname(addonFile), 'libggml-cuda.so');
  copyFileSync(module, `${target}.part`);
  renameSync(`${target}.part`, target);
}

entry(import.meta.url, async (args) => {
  const { values } = parseArgs({ args, options: { arch: { type: 'string' }, file: { type: 'string' } } });
  await buildCuda(values);
});
