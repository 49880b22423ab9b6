// A fresh process of ours: one load, and one picture if asked for. The job is the first argument, the result the last line.
import { peakRss } from '../memory/index.js';
import { createRuntime } from '../sdk/index.js';
import { timedPicture } from './own.js';
import type { FreshJob, FreshResult } from './types.js';

const job = JSON.parse(process.argv[2] ?? '') as FreshJob;
let tensors: number | null = null;
const logger = (_level: string, message: string): void => {
  const seconds = /loading tensors completed, taking ([\d.]+)s/.exec(message)?.[1];
  if (seconds !== undefined) tensors = Number(seconds) * 1000;
};
// Lines of the engine cost a little: a process that makes a picture has none.
const listening = job.request === undefined ? { logLevel: 'info' as const, logger } : {};
const runtime = await createRuntime({ ...job.runtime, ...listening });
const start = process.memoryUsage.rss();
const begun = performance.now();
const model = await runtime.loadModel(job.load);
const load = performance.now() - begun;
const resting = process.memoryUsage.rss();
const made = job.request === undefined ? undefined : await timedPicture(model, job.request, undefined);
if (made !== undefined && job.output !== undefined) await made.image.save(job.output);
await runtime.dispose();
// The largest since the program began; the other figure counts the parent's memory at the fork as well.
const peak = peakRss(process.pid) || process.resourceUsage().maxRSS * 1024;
const result: Omit<FreshResult, 'process'> = { load, tensors, times: made?.times ?? null, start, resting, peak };
process.stdout.write(`${JSON.stringify(result)}\n`);
