#!/usr/bin/env node
/**
 * Looks for leaks: one process repeats rounds of everything that holds memory (test/support/child/leak.mjs), and the
 * slope of its memory over the rounds is fitted. Fails when a slope is above its bound with 99 % confidence.
 *
 *   npm run test:leak -- [--hours N | --minutes N]
 *
 * Default: 3 minutes, as in CI. Needs `npm run build`.
 */
import { createWriteStream, mkdirSync } from 'node:fs';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { oneHeap } from './tools/one-heap.mjs';
import { buildDir, root } from './tools/paths.mjs';
import { Stop, entry, say, since } from './tools/say.mjs';
import { theilSen } from './tools/slope.mjs';

/**
 * Bytes a round. A round makes some 20 pictures and latents, loads two models and an upscaler and starts a thread: what
 * one of them would leak is larger by orders of magnitude (a picture 12 KiB, a conditioning 230 KiB, a thread's stack
 * and heap 4 MiB, a model's tables 2 MiB). What the allocators and V8 breathe is smaller, over enough rounds: some 4 MiB
 * in all, which fewer than 64 rounds cannot tell from a slope.
 */
const bounds = { rss: (rounds) => Math.max(64, 4096 / rounds) * 1024, external: () => 4 * 1024 };

/** The first rounds fill caches and heaps. */
const warmUp = 0.2;

/** Runs for some milliseconds; true when no slope is above its bound. */
export async function leak(milliseconds) {
  const start = performance.now();
  const reports = join(buildDir, 'reports');
  mkdirSync(reports, { recursive: true });
  // Loaded here and not above: `npm test` starts before node_modules exists.
  const { build } = await import('esbuild');
  // The maker of small upscaler files is TypeScript, shared with the tests.
  const upscaler = join(reports, 'upscaler.mjs');
  await build({
    entryPoints: [join(root, 'test/support/upscaler.ts')],
    outfile: upscaler,
    bundle: true,
    format: 'esm',
    platform: 'node',
    packages: 'external',
    logLevel: 'error',
  });
  const log = createWriteStream(join(reports, 'leak.jsonl'));
  const points = [];
  const child = spawn(
    process.execPath,
    ['--expose-gc', ...oneHeap.nodeOptions, join(root, 'test/support/child/leak.mjs'), String(milliseconds), upscaler],
    { cwd: root, env: { ...process.env, ...oneHeap.env }, stdio: ['ignore', 'pipe', 'inherit'] },
  );
  for await (const line of createInterface({ input: child.stdout })) {
    log.write(`${line}\n`);
    points.push(JSON.parse(line));
  }
  log.end();
  if (child.exitCode === null) await new Promise((resolve) => child.once('exit', resolve));
  if (child.exitCode !== 0)
    throw new Stop(`the process that should run ended with ${child.signalCode ?? child.exitCode}.`);
  return judge(points, since(start));
}

function judge(points, took) {
  const settled = points.slice(Math.floor(points.length * warmUp));
  if (settled.length < 8) throw new Stop(`only ${points.length} rounds in ${took}: run it for longer.`);
  let passed = true;
  for (const [what, boundOf] of Object.entries(bounds)) {
    const bound = boundOf(settled.length);
    const { slope, low, high } = theilSen(settled.map((point) => [point.round, point[what]]));
    const bad = low > bound;
    passed &&= !bad;
    const kib = (bytes) => (bytes / 1024).toFixed(1);
    say(
      `leak: ${what} ${bad ? 'GROWS' : 'holds'}: ${kib(slope)} KiB a round (99 %: ${kib(low)} to ${kib(high)}), ` +
        `bound ${kib(bound)}; ${(settled.at(-1)[what] / 2 ** 20).toFixed(1)} MiB at the end`,
    );
  }
  say(`leak: ${points.length} rounds in ${took}, the memory of each in build/reports/leak.jsonl`);
  return passed;
}

entry(import.meta.url, async (args) => {
  const { values } = parseArgs({ args, options: { hours: { type: 'string' }, minutes: { type: 'string' } } });
  const minutes = values.hours === undefined ? Number(values.minutes ?? 3) : Number(values.hours) * 60;
  if (!(minutes > 0)) throw new Stop('--hours and --minutes take a number above 0.');
  return (await leak(minutes * 60_000)) ? 0 : 1;
});
