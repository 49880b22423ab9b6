#!/usr/bin/env node
/**
 * Configures and builds the CMake project through cmake-js into build/Release; does nothing when nothing changed.
 *
 *   node scripts/build.mjs [--preset NAME] [-DNAME=VALUE ...] [--target NAME ...] [--force]
 *
 * The addon, its libraries and its backend modules land beside each other. Values given with -D stay in CMake's cache.
 * --preset: the definitions of a release preset of CMakePresets.json, which -D can change; releases are built so. For debug and
 * sanitizer builds, which have folders of their own, use CMake itself.
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
import { addonFile, buildDir, root, vendorDir } from './tools/paths.mjs';
import { presetDefinitions } from './tools/presets.mjs';
import { capture, isInstalled, manifest, packageFolder, runTool, which } from './tools/run.mjs';
import { Stop, entry, say, since } from './tools/say.mjs';
import { vulkanPackage } from './vulkan-package.mjs';

/** Packages of npm that the build needs. People who build an installed package add them by hand. */
const tools = ['cmake-js', 'node-addon-api', 'node-api-headers'];
const sources = ['CMakeLists.txt', 'native'];
const cacheFile = join(buildDir, 'CMakeCache.txt');
const recordFile = join(buildDir, 'stamps', 'native.json');

/** What build/Release was last made of: state of the sources, definitions in force, targets (empty: all). */
const none = { state: null, define: [], targets: [] };

/** Builds with CMake definitions such as `ND_BUILD_TESTS=ON`; `targets` empty: everything that is configured. */
export async function buildNative({ preset, define: given = [], targets = [], force = false } = {}) {
  const define = [...(preset === undefined ? [] : ofPreset(preset, given)), ...given];
  const lacking = tools.filter((name) => !isInstalled(name));
  if (lacking.length > 0) {
    const list = lacking.join(' ');
    throw new Stop(`npm packages are missing: ${list}. In a checkout: npm ci; else: npm install ${list}`);
  }
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

/** What a preset says and `given` does not. */
function ofPreset(preset, given) {
  const definitions = presetDefinitions(preset);
  // build/Release is named after it.
  if (!definitions.includes('CMAKE_BUILD_TYPE=Release')) {
    throw new Stop(`"${preset}" is no release preset: cmake --preset ${preset} builds it in a folder of its own.`);
  }
  const names = new Set([...given.map(nameOf), 'CMAKE_BUILD_TYPE']);
  return definitions.filter((text) => !names.has(nameOf(text)));
}

/** Where package managers put the headers of Node-API: beside us, or wherever they lift them to. */
function headerDefinitions() {
  return [
    `ND_NODE_ADDON_API=${packageFolder('node-addon-api')}`,
    `ND_NODE_API_HEADERS=${join(packageFolder('node-api-headers'), 'include')}`,
  ];
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
  return fingerprint(files, {
    // In the names of the libraries.
    version: JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).version,
    engine: engine.sha256,
    openvino: openvino.sha256,
    vulkan,
    tools: tools.map((name) => manifest(name).version),
    machine: `${process.platform}-${process.arch}`,
  });
}

async function build(source, { define, targets }) {
  const start = performance.now();
  mkdirSync(buildDir, { recursive: true });
  const common = ['--out', buildDir, '--config', 'Release', '--log-level', 'warn', ...generator()];
  const definitions = [
    `SDCPP_SOURCE_DIR=${source === vendorDir ? '' : source}`,
    ...headerDefinitions(),
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
      preset: { type: 'string' },
      define: { type: 'string', multiple: true },
      target: { type: 'string', multiple: true },
      force: { type: 'boolean' },
    },
  });
  await buildNative({ ...values, targets: values.target });
});
