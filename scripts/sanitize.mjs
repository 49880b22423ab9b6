#!/usr/bin/env node
/**
 * Builds the addon and the C++ tests with sanitizers and runs them; any report fails, whatever the tests say.
 *
 *   node scripts/sanitize.mjs asan|tsan [--ctest | --native] [TEST FILE ...]
 *
 * asan: AddressSanitizer, UndefinedBehaviorSanitizer and, in the C++ tests, LeakSanitizer; tsan: ThreadSanitizer. The
 * build folder is build-asan or build-tsan. Without a choice the C++ tests run, then the native tests of `nativeFiles`.
 */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { setup } from './setup.mjs';
import { root } from './tools/paths.mjs';
import { capture, run, which } from './tools/run.mjs';
import { Stop, entry, say, since } from './tools/say.mjs';
import { sanitizer } from './tools/sanitizers.mjs';
import { ctest, vitest } from './tools/testers.mjs';

/** Native tests that make sense under a sanitizer: what measures time or memory, or runs in another process, is left out. */
const nativeFiles = {
  asan: [
    'bad-input',
    'borrowed-parts',
    'cancel-load',
    'cancel.',
    'concat',
    'convolution-type',
    'determinism',
    'dispose',
    'errors',
    'exits.',
    'hires.',
    'hires-upscaler.',
    'images',
    'img2img',
    'inpaint',
    'lora-',
    'lowlevel',
    'measure-unloaded',
    'misuse',
    'noise',
    'one-step',
    'options',
    'progress',
    'property',
    'refiner',
    'shapes',
    'shared-models',
    'stream',
    'tables',
    'tokens',
    'two-models',
    'upscaler',
    'worker',
  ],
  tsan: ['cancel.', 'dispose', 'progress', 'shared-models', 'stream', 'two-models', 'worker'],
};

/**
 * C++ tests that need the engine, which takes minutes to build, and those that do not. crash_test dies of signals, which a
 * sanitizer catches first.
 */
const tests = {
  engine: ['cuda_driver_test', 'log_test', 'lora_test', 'model_file_test', 'engine_test', 'race_test'],
  quick: ['worker_test', 'host_test'],
};

/** Builds and runs the C++ tests of a sanitizer build; the counts of ctest, one failure more for each report. */
export async function sanitizedCtest(name, { quick = false } = {}) {
  const chosen = quick ? tests.quick : [...tests.quick, ...tests.engine];
  const build = await built(name, quick ? chosen : [...chosen, 'ggml-cpu']);
  const counts = await ctest({
    name: `ctest ${name}`,
    cwd: build.buildDir,
    env: build.environment({ leaks: true }),
    only: chosen,
  });
  return judged(build, counts);
}

async function sanitizedVitest(name, files) {
  const build = await built(name, []);
  const counts = await vitest('native', {
    files: files.length > 0 ? files : nativeFiles[name].map((file) => `test/native/${file}`),
    env: build.nodeEnvironment({ leaks: false }),
    reports: build.reports,
  });
  return judged(build, counts);
}

async function built(name, targets) {
  const build = sanitizer(name);
  const start = performance.now();
  if (which('ninja') === null) throw new Stop('Ninja is missing: e.g. "apt-get install ninja-build".');
  const launcher = which('ccache') === null ? [] : ['C', 'CXX'].map((l) => `-DCMAKE_${l}_COMPILER_LAUNCHER=ccache`);
  await run('cmake', ['--preset', name, '--log-level=WARNING', ...launcher], { cwd: root });
  const jobs = String(Number(process.env.CMAKE_BUILD_PARALLEL_LEVEL) || availableParallelism());
  const only = targets.flatMap((target) => ['--target', target]);
  await run('cmake', ['--build', build.buildDir, '--parallel', jobs, ...only], { cwd: root });
  say(`${name} build: ready (${since(start)})`);
  build.clearReports();
  return build;
}

function judged(build, counts) {
  const reports = build.readReports();
  for (const text of reports) process.stderr.write(`${text.slice(0, 20_000)}\n`);
  say(`${counts.name}: ${counts.passed} passed, ${counts.failed} failed, ${reports.length} sanitizer reports`);
  return { ...counts, failed: counts.failed + reports.length };
}

entry(import.meta.url, async (args) => {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: { ctest: { type: 'boolean' }, native: { type: 'boolean' } },
  });
  const [name, ...files] = positionals;
  if (name === undefined) throw new Stop('say which: asan or tsan.');
  await setup();
  const results = [];
  if (!values.native) results.push(await sanitizedCtest(name));
  if (!values.ctest) results.push(await sanitizedVitest(name, files));
  const commit = capture('git', ['rev-parse', '--short', 'HEAD']) ?? 'unknown';
  for (const { name: what, passed, failed } of results) say(`${commit}: ${what}: ${passed} passed, ${failed} failed`);
  return results.every(({ failed }) => failed === 0) ? 0 : 1;
});
