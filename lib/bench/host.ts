import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { DiffusionError } from '../errors/index.js';
import { packageRoot } from '../here.js';
import { ensureEmbeddedModel } from '../model/index.js';
import { createRuntime } from '../sdk/index.js';
import { diagnose } from '../sdk/diagnose.js';
import { runProgram } from './program.js';
import type { BenchHost, FreshJob, FreshResult } from './types.js';

/** The compiled program of a fresh process; also for the sources. */
const entry = join(packageRoot, 'dist', 'bench', 'child.js');

/** Runs a job in a fresh process. Aborting ends it. */
export async function runFresh(job: FreshJob, signal?: AbortSignal): Promise<FreshResult> {
  if (!existsSync(entry)) {
    const hint = 'Install node-diffusion again; in a checkout run "npm run build:ts".';
    throw new DiffusionError('ERR_BACKEND_UNAVAILABLE', `The program of the benchmarks is missing: ${entry}. ${hint}`, {
      hint,
    });
  }
  const { time, lines } = await runProgram(process.execPath, [entry, JSON.stringify(job)], { signal });
  return { ...(JSON.parse(lines.at(-1)?.line ?? '') as Omit<FreshResult, 'process'>), process: time };
}

/** Benchmarks of this machine. */
export const systemHost: BenchHost = {
  createRuntime: (options) => createRuntime(options),
  embedded: (signal) => ensureEmbeddedModel({ signal }),
  fresh: runFresh,
  cpuFeatures: () => {
    const { cpuFeatures } = diagnose();
    return Object.keys(cpuFeatures).filter((name) => cpuFeatures[name] === true);
  },
};
