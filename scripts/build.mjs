#!/usr/bin/env node
/**
 * Configures and builds the CMake project through cmake-js into build/Release; does nothing when nothing changed.
 *
 *   node scripts/build.mjs [-DNAME=VALUE ...] [--target NAME ...] [--force]
 *
 * The addon, its libraries and its backend modules land beside each other. Values given with -D stay in CMake's cache.
 * For debug and sanitizer builds use the CMake presets.
 */
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { engineSource } from './engine-source.mjs';
import { openvinoPackage } from './openvino-package.mjs';
import { engine, openvino, vulkan } from './pins.mjs';
import { fingerprint, listFiles, writeAtomically } from './tools/files.mjs';
import { locked } from './tools/lock.mjs';
import { addonFile, buildDir, vendorDir } from './tools/paths.mjs';
import { capture, manifest, runTool, which } from './tools/run.mjs';
import { entry, say, since } from './tools/say.mjs';
import { vulkanPackage } from './vulkan-package.mjs';

const sources = ['CMakeLists.txt', 'native'];
const cacheFile = join(buildDir, 'CMakeCache.txt');
const recordFile = join(buildDir, 'stamps', 'native.json');

/** What build/Release was last made of: state of the sources, definitions in force, targets (empty: all). */
const none = { state: null, define: [], targets: [] };

/** Builds with CMake definitions such as `ND_BUILD_TESTS=ON`; `targets` empty: everything that is configured. */
export async function buildNative({ define = [], targets = [], force = false } = {}) {
  const source = await engineSource();
  if (define.includes('ND_OPENVINO=ON')) await openvinoPackage();
  if (define.includes('ND_VULKAN=ON')) await vulkanPackage();
  // A foreign engine folder can change under us, so then CMake looks for itself, which takes seconds.
  const state = source === vendorDir ? nativeFingerprint() : null;
  const upToDate = () =>
    !force && state !== null && existsSync(addonFile) && covers(readRecord(), { state, define, targets });
  if (upToDate()) return say('native build: nothing to do');
  await locked(join(buildDir, '.lock'), 'native build', async () => {
    if (upToDate()) return;
    const before = existsSync(cacheFile) ? readRecord() : none;
    // From here on build/Release may hold a mixture, whatever interrupts us.
    record({ ...before, state: null });
    await build(source, { define, targets });
    // CMake's cache keeps earlier definitions, so they were built as well.
    const names = new Set(define.map(nameOf));
    const kept = before.define.filter((text) => !names.has(nameOf(text)));
    record({ state, define: [...kept, ...define], targets });
  });
}

function readRecord() {
  return existsSync(recordFile) ? JSON.parse(readFileSync(recordFile, 'utf8')) : none;
}

function record(content) {
  writeAtomically(recordFile, JSON.stringify(content));
}

function covers(last, { state, define, targets }) {
  const all = last.targets.length === 0;
  const wanted = targets.length === 0 ? all : all || targets.every((name) => last.targets.includes(name));
  return last.state === state && wanted && define.every((text) => last.define.includes(text));
}

function nameOf(definition) {
  return definition.split('=', 1)[0];
}

function nativeFingerprint() {
  const files = listFiles(sources, (path) => !path.startsWith(join('native', 'vendor')));
  const tools = ['cmake-js', 'node-addon-api', 'node-api-headers'].map((name) => manifest(name).version);
  return fingerprint(files, {
    engine: engine.sha256,
    openvino: openvino.sha256,
    vulkan,
    tools,
    machine: `${process.platform}-${process.arch}`,
  });
}

async function build(source, { define, targets }) {
  const start = performance.now();
  mkdirSync(buildDir, { recursive: true });
  const common = ['--out', buildDir, '--config', 'Release', '--log-level', 'warn', ...generator()];
  const definitions = [
    `SDCPP_SOURCE_DIR=${source === vendorDir ? '' : source}`,
    ...(which('ccache') === null ? [] : ['C', 'CXX'].map((name) => `CMAKE_${name}_COMPILER_LAUNCHER=ccache`)),
    ...define,
  ];
  say(`native build: configuring ${definitions.join(' ')}`);
  await runTool('cmake-js', ['configure', ...common, ...definitions.map((text) => `--CD${text}`)]);
  const jobs = Number(process.env.CMAKE_BUILD_PARALLEL_LEVEL) || availableParallelism();
  say(`native build: compiling with ${jobs} jobs (the first time takes minutes)`);
  for (const target of targets.length === 0 ? [[]] : targets.map((name) => ['--target', name])) {
    await runTool('cmake-js', ['build', ...common, '--parallel', String(jobs), ...target]);
  }
  say(`native build: ready in build/Release (${since(start)})`);
}

/** The generator of the build folder, which cannot change later; Ninja for a new one when it is installed. */
function generator() {
  const used = existsSync(cacheFile)
    ? /^CMAKE_GENERATOR:INTERNAL=(.*)$/m.exec(readFileSync(cacheFile, 'utf8'))?.[1]
    : undefined;
  if (used !== undefined) return ['--generator', used];
  return which('ninja') !== null && capture('ninja', ['--version']) !== null ? ['--generator', 'Ninja'] : [];
}

entry(import.meta.url, async (args) => {
  const { values } = parseArgs({
    args: args.map((arg) => arg.replace(/^-D(?=\w)/, '--define=')),
    options: {
      define: { type: 'string', multiple: true },
      target: { type: 'string', multiple: true },
      force: { type: 'boolean' },
    },
  });
  await buildNative({ ...values, targets: values.target });
});
