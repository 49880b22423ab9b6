// One cell of the exit matrix (test/native/exit-matrix.test.ts): `node matrix.mjs THREAD STATE WAY FILES`. The main
// thread, or a worker thread that it starts, comes into the state; then the process or the worker ends in the way.
import { once } from 'node:events';
import { setImmediate } from 'node:timers';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { say, waitForever } from './common.mjs';
import { states } from './states.mjs';

const [thread, state, way, files] = isMainThread ? process.argv.slice(2) : workerData;

const ways = {
  return: () => undefined,
  exit: () => process.exit(3),
  // What libraries that manage exits end up calling: no `exit` event, no hooks of ours, only C's exit handlers.
  reallyExit: () => process.reallyExit(4),
  throw: () =>
    setImmediate(() => {
      throw new Error('thrown on purpose');
    }),
  SIGTERM: () => {
    process.kill(process.pid, 'SIGTERM');
    waitForever();
  },
};

if (isMainThread && thread === 'worker') {
  const worker = new Worker(new URL(import.meta.url), { workerData: [thread, state, way, files] });
  const ended = new Promise((resolve) => worker.on('exit', resolve));
  await new Promise((resolve) => worker.once('message', resolve));
  say({ ready: state, at: Date.now() });
  worker.postMessage('go');
  if (way === 'terminate') await worker.terminate();
  else if (way.startsWith('main ')) ways[way.slice('main '.length)]();
  say({ workerExit: await ended, at: Date.now() });
} else {
  await states[state]({ files: JSON.parse(files), long: way !== 'return' });
  if (isMainThread) say({ ready: state, at: Date.now() });
  else {
    // An error of the worker comes through another port than its messages and may overtake them.
    const told = once(parentPort, 'message');
    parentPort.postMessage('ready');
    await told;
  }
  // The others come from outside.
  (ways[way] ?? waitForever)();
}
