// States that a process or a worker thread can be in when it ends. Each resolves when it is reached; what still runs
// then is reported as a line, never waited for.
import { createRuntime, Latent } from '../../../dist/index.js';
import { firstEvent, fits, mapped, say } from './common.mjs';

/**
 * @param files the embedded model's `checkpoint` and `taesd`
 * @param long whether the job should outlast everything that the test waits for
 */
export const states = {
  async idle({ files }) {
    await load(files);
  },
  async loading({ files }) {
    const runtime = await createRuntime({ threads: 1 });
    const { seen, onProgress } = firstEvent('load', 0);
    report(runtime.loadModel({ ...files, onProgress }));
    await seen;
  },
  async encoding({ files, long }) {
    const model = await load(files);
    const { seen, onProgress } = firstEvent('encode', 0);
    report(model.txt2img({ ...request(long), onProgress }));
    await seen;
  },
  async sampling({ files, long }) {
    await sampling(await load(files), long);
  },
  async decoding({ files, long }) {
    const model = await load(files);
    const side = long ? 512 : 128;
    const { seen, onProgress } = firstEvent('decode', 0);
    report(model.decodeLatent({ latent: Latent.zeros(side, side, model.latentSpace), onProgress }));
    await seen;
  },
};

export async function load(files) {
  const runtime = await createRuntime({ threads: 1 });
  return runtime.loadModel(mapped(files));
}

/** Starts a job of three steps, or of a minute; resolves when its first step is done. */
export async function sampling(model, long, more = {}) {
  const { seen, onProgress } = firstEvent('sample', 1);
  report(model.txt2img({ ...request(long), ...more, onProgress }));
  const { secondsPerStep } = await seen;
  say({ secondsPerStep });
}

export function request(long) {
  return { prompt: 'a red apple', steps: long ? 200 : 3, cfgScale: 1, seed: 1, ...fits };
}

export function report(job) {
  job.then(
    () => say({ job: 'done', at: Date.now() }),
    (error) => say({ job: error.code ?? error.name }),
  );
}
