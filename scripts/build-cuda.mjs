#!/usr/bin/env node
/**
 * Builds the CUDA backend module in a folder of its own, build-cuda, and copies it beside the addon. It takes long and can be
 * interrupted: a later run goes on with the files that are left.
 *
 *   node scripts/build-cuda.mjs [--arch 86-real[;...]] [--quick] [--file scale.cu]
 *
 * --arch: GPUs to compile for, as CMake names them (default: all that nvcc 13 knows, native/cmake/NdCuda.cmake).
 * --quick: leaves out most of nvcc's optimising, so that it takes less time to compile and more to run.
 * --file: compiles that one source and stops, to try the toolchain.
 *
 * Beside the addon come the CUDA runtime and ggml-cuda.json as well, which says what the module was built for: with --arch or
 * --quick it is there to be tried, and `pack:all` makes no package of it.
 */
import { copyFileSync, existsSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { cudaPackage } from './cuda-package.mjs';
import { engineSource } from './engine-source.mjs';
import { releaseArchitectures, writeNote } from './package/cuda.mjs';
import { addonFile, root, vendorDir } from './tools/paths.mjs';
import { run, which } from './tools/run.mjs';
import { Stop, entry, say, since } from './tools/say.mjs';

const folder = join(root, 'build-cuda');
const module = join(folder, 'Release', 'libggml-cuda.so');

/** @param options `arch`: null for all; `quick`: barely optimised; `file`: null for the whole module. */
async function buildCuda({ arch = null, quick = false, file = null }) {
  const start = performance.now();
  const source = await engineSource();
  await cudaPackage();
  const architectures = arch ?? releaseArchitectures();
  const flags = quick ? '-Ofc=max' : '';
  const launchers = which('ccache') === null ? [] : ['C', 'CXX', 'CUDA'];
  const definitions = [
    'CMAKE_BUILD_TYPE=Release',
    'ND_BUILD_ADDON=OFF',
    'ND_CUDA=ON',
    `SDCPP_SOURCE_DIR=${source === vendorDir ? '' : source}`,
    // Both always, since CMake remembers those of the build before.
    `ND_CUDA_ARCHITECTURES=${architectures}`,
    `CMAKE_CUDA_FLAGS=${flags}`,
    ...launchers.map((name) => `CMAKE_${name}_COMPILER_LAUNCHER=ccache`),
  ];
  const generator = which('ninja') === null ? [] : ['-G', 'Ninja'];
  await run('cmake', ['-S', root, '-B', folder, ...generator, ...definitions.map((text) => `-D${text}`)]);
  const jobs = Number(process.env.CMAKE_BUILD_PARALLEL_LEVEL) || availableParallelism();
  const target = file === null ? 'ggml-cuda' : `ggml/src/ggml-cuda/CMakeFiles/ggml-cuda.dir/${file}.o`;
  await run('cmake', ['--build', folder, '--parallel', String(jobs), '--target', target]);
  if (file !== null) return say(`CUDA build: ${file} compiles (${since(start)})`);
  if (existsSync(dirname(addonFile))) place({ architectures, flags });
  say(`CUDA build: ${module} (${since(start)})`);
}

/** Puts module, runtime and note beside the addon as new files: whoever has those before open keeps them whole. */
function place(facts) {
  const beside = dirname(addonFile);
  const runtime = `${cached('CUDA_CUDART')}.13`;
  rmSync(join(beside, 'ggml-cuda.json'), { force: true });
  for (const file of [runtime, module]) {
    const target = join(beside, basename(file));
    copyFileSync(file, `${target}.part`);
    renameSync(`${target}.part`, target);
  }
  const [, cuda] = /^FIND_PACKAGE_MESSAGE_DETAILS_CUDAToolkit:INTERNAL=.*\[v([\d.]+)/m.exec(cache()) ?? [];
  writeNote(beside, { ...facts, cuda: cuda ?? 'unknown' });
}

function cache() {
  return readFileSync(join(folder, 'CMakeCache.txt'), 'utf8');
}

/** What CMake found. */
function cached(name) {
  const [, value] = new RegExp(`^${name}:\\w+=(.*)$`, 'm').exec(cache()) ?? [];
  if (value === undefined || value.endsWith('-NOTFOUND')) throw new Stop(`CMake has not found ${name}.`);
  return value;
}

entry(import.meta.url, async (args) => {
  const options = { arch: { type: 'string' }, quick: { type: 'boolean' }, file: { type: 'string' } };
  await buildCuda(parseArgs({ args, options }).values);
});
