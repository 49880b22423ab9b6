// A process that brings itself into one state and then ends in one way: `node exits.mjs STATE WAY`.
// The parent (test/native/exits*.test.ts) reads the lines of JSON that it writes.
import { setImmediate } from 'node:timers';
import { createRuntime, ensureEmbeddedModel } from '../../../dist/index.js';
import { firstEvent, fits, mapped, say, waitForever } from './common.mjs';

const [state = '', way = ''] = process.argv.slice(2);
// A process that returns waits for its job, any other leaves a job behind that would run for a minute.
const steps = way === 'return' ? 3 : 200;

/** Each state resolves when the process is in it. What still runs afterwards is reported, never waited for. */
const states = {
  async bare() {
    await createRuntime();
  },
  async idle() {
    await load();
  },
  async disposed() {
    const model = await load();
    await model.txt2img({ prompt: 'a red apple', steps: 1, cfgScale: 1, ...fits });
    await model.dispose();
  },
  async collected() {
    // Nothing in JavaScript holds the model any more.
    await load();
    await new Promise((resolve) => setTimeout(resolve, 20));
    globalThis.gc?.();
  },
  async logging() {
    const runtime = await createRuntime({ threads: 1 });
    const model = await runtime.loadModel(mapped(await ensureEmbeddedModel()));
    // The logger comes after the model: its native side is younger than the model's.
    await createRuntime({ logLevel: 'debug', logger: () => undefined });
    await sampling(model);
  },
  async encoding() {
    const model = await load();
    const encode = firstEvent('encode', 0);
    report(model.txt2img({ prompt: 'a red apple', steps, cfgScale: 1, ...fits, onProgress: encode.onProgress }));
    await encode.seen;
  },
  async sampling() {
    await sampling(await load());
  },
  async previewing() {
    const model = await load();
    await sampling(model, { preview: { mode: 'projection', every: 1 }, onPreview: () => undefined });
  },
  async queued() {
    const model = await load();
    const running = sampling(model);
    report(model.txt2img({ prompt: 'a green apple', steps, cfgScale: 1, ...fits }));
    report(model.sigmas());
    await running;
  },
  async disposing() {
    const model = await load();
    await sampling(model);
    report(model.dispose());
  },
  async two() {
    const [first, second] = [await load(), await load()];
    await Promise.all([sampling(first), sampling(second)]);
  },
};

const ways = {
  return: () => undefined,
  exit0: () => process.exit(0),
  exit3: () => process.exit(3),
  throw: () =>
    setImmediate(() => {
      throw new Error('thrown on purpose');
    }),
  reject: () => void Promise.reject(new Error('rejected on purpose')),
  SIGTERM: () => kill('SIGTERM'),
  SIGINT: () => kill('SIGINT'),
};

async function load() {
  const runtime = await createRuntime({ threads: 1 });
  return runtime.loadModel(mapped(await ensureEmbeddedModel()));
}

/** Starts a long job; resolves when its first step is done. */
async function sampling(model, more = {}) {
  const step = firstEvent('sample', 1);
  report(model.txt2img({ prompt: 'a red apple', steps, cfgScale: 1, seed: 1, ...fits, ...more, onProgress: step.onProgress }));
  const { secondsPerStep } = await step.seen;
  say({ secondsPerStep });
}

function report(job) {
  job.then(
    () => say({ job: 'done' }),
    (error) => say({ job: error.code ?? error.name }),
  );
}

function kill(name) {
  process.kill(process.pid, name);
  waitForever();
}

process.on('exit', (code) => say({ exit: code, at: Date.now() }));
await states[state]();
say({ ready: state, at: Date.now() });
ways[way]();
