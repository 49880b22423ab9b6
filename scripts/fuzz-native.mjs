#!/usr/bin/env node
/**
 * `npm run fuzz:native -- --seconds N [--target NAME]`: builds the libFuzzer targets with clang into build-fuzz/ and
 * runs each for N seconds (default 60), from the inputs in build-fuzz/corpus/NAME, which it keeps. What it finds lies in
 * build-fuzz/findings/.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { root } from './tools/paths.mjs';
import { run } from './tools/run.mjs';
import { entry, say } from './tools/say.mjs';

const targets = ['check_fuzz', 'inspect_fuzz', 'prompt_fuzz'];

entry(import.meta.url, async () => {
  const { values } = parseArgs({
    options: { seconds: { type: 'string', default: '60' }, target: { type: 'string' } },
  });
  const seconds = Number(values.seconds);
  if (!Number.isInteger(seconds) || seconds < 1)
    throw new Error(`--seconds ${values.seconds}: expected a whole number`);
  if (values.target !== undefined && !targets.includes(values.target))
    throw new Error(`--target ${values.target}: expected one of ${targets.join(', ')}`);
  const chosen = values.target === undefined ? targets : [values.target];
  const build = join(root, 'build-fuzz');
  const env = { ...process.env, CC: 'clang', CXX: 'clang++' };
  const defines = [
    'ND_BUILD_FUZZERS=ON',
    'ND_BUILD_ADDON=OFF',
    'ND_CPU_ALL_VARIANTS=OFF',
    'CMAKE_BUILD_TYPE=RelWithDebInfo',
  ];
  await run('cmake', ['-S', root, '-B', build, '-G', 'Ninja', ...defines.map((define) => `-D${define}`)], { env });
  await run('cmake', ['--build', build, '--target', ...chosen], { env });
  let failed = 0;
  for (const target of chosen) {
    const corpus = join(build, 'corpus', target);
    const findings = join(build, 'findings');
    mkdirSync(corpus, { recursive: true });
    mkdirSync(findings, { recursive: true });
    const limits = [`-max_total_time=${seconds}`, '-timeout=20', '-rss_limit_mb=2048', '-malloc_limit_mb=1024'];
    const args = [
      ...limits,
      '-max_len=65536',
      '-print_final_stats=1',
      `-artifact_prefix=${findings}/${target}-`,
      corpus,
    ];
    const code = await run(join(build, 'RelWithDebInfo', target), args, { allowFailure: true });
    say(`${target}: ${code === 0 ? 'nothing found' : `a finding, see ${findings}`}`);
    if (code !== 0) failed++;
  }
  return failed === 0 ? 0 : 1;
});
