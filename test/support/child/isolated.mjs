// A process with an isolated engine that brings itself into one state and ends in one way: `node isolated.mjs STATE WAY FILE`.
// With `cjs` for FILE's next argument it comes through the CommonJS door; `worker` runs all of it in a worker thread.
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { isMainThread, Worker } from 'node:worker_threads';
import { setTimeout as sleep } from 'node:timers/promises';
import * as esm from '../../../dist/index.js';
import { say, waitForever } from './common.mjs';

const [state = '', way = '', file = '', how = ''] = process.argv.slice(2);
const { createRuntime } = how === 'cjs' ? createRequire(import.meta.url)('../../../dist/cjs/index.js') : esm;

if (how === 'worker' && isMainThread) {
  const worker = new Worker(fileURLToPath(import.meta.url), { argv: process.argv.slice(2) });
  worker.on('message', () => undefined);
  worker.on('exit', (code) => say({ worker: code }));
  // The worker writes its lines itself; when it is ready it is ended from here.
  if (way === 'terminate') {
    await new Promise((resolve) => worker.once('message', resolve));
    await worker.terminate();
  }
} else {
  await run();
}

async function run() {
  const { parentPort } = await import('node:worker_threads');
  const runtime = await createRuntime({ threads: 1, isolation: 'process' });
  const upscaler = await runtime.loadUpscaler({ file });
  say({ engine: runtime.childPid });
  if (state !== 'idle') {
    // Seconds of work, or with `return` as much as a test waits for.
    const edge = way === 'return' ? 32 : 512;
    const image = { width: edge, height: edge, channels: 3, data: new Uint8Array(edge * edge * 3).fill(99) };
    upscaler.upscale({ image }).then(
      () => say({ job: 'done' }),
      (error) => say({ job: error.code }),
    );
    await sleep(100);
  }
  if (state === 'stopped') process.kill(runtime.childPid, 'SIGSTOP');
  say({ ready: state, at: Date.now() });
  parentPort?.postMessage('ready');
  if (way === 'exit3') process.exit(3);
  if (way === 'throw') throw new Error('thrown on purpose');
  if (way === 'terminate') waitForever();
  if (way.startsWith('SIG')) {
    process.kill(process.pid, way);
    waitForever();
  }
}
