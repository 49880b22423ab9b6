// An addon without an engine, for the program of the engine's process: it does what the file named by ND_FAKE says and
// writes down every call. One process loads it to make shared memory, of which it has none; the other to work.
const { appendFileSync, readFileSync } = require('node:fs');
const process = require('node:process');
const { setImmediate, setTimeout } = require('node:timers');

const { calls, orders } = JSON.parse(process.env.ND_FAKE ?? '{}');
const inEngine = process.connected && process.argv[1].endsWith('child.js');
const ordered = (what) => inEngine && readFileSync(orders, 'utf8').split('\n').includes(what);
const note = (what) => inEngine && appendFileSync(calls, `${what}\n`);
const job = (work) => ({ promise: new Promise((resolve) => setImmediate(resolve)).then(work), cancel: () => undefined });
/** A job of the engine's threads: they may hang, or work for long, while JavaScript goes on. */
const watched = (work) => {
  const began = Date.now();
  if (ordered('hang in sample')) return { promise: new Promise(() => undefined), cancel: () => undefined, activity: () => 3 };
  const wait = ordered('work in sample') ? new Promise((resolve) => setTimeout(resolve, 3000)) : undefined;
  return { promise: Promise.resolve(wait).then(work), cancel: () => undefined, activity: () => Date.now() - began };
};
const die = (what) => ordered(what) && process.kill(process.pid, 'SIGKILL');

const nothing = { graph: 0, work: 0 };

function model() {
  const info = {
    ...{ architecture: 'SD 1.x', latentChannels: 4, concatChannels: 0, scaleFactor: 8, sizeMultiple: 64, tensors: 1, components: [] },
    ...{ defaultSampler: 'euler_a', defaultSchedule: 'discrete', prediction: 'eps', canEncodeImages: true },
    ...{ isInpaint: false, isEdit: false, isControl: false, isDit: false, isVideo: false, isSdxl: false },
    ...{ hasControlNet: false, usesTaesd: false },
  };
  return {
    info,
    encodePrompt: ({ prompt }) =>
      job(() => {
        note(`encode ${prompt}`);
        return { prompt, bytes: 10, shape: [1, 77, 768], dispose: () => note(`drop ${prompt}`) };
      }),
    sigmas: ({ steps }) => job(() => Float32Array.from({ length: steps + 1 }, (_, i) => steps - i)),
    sample: ({ cond, latent }) =>
      watched(() => {
        note(`sample ${cond.prompt}`);
        die('die in sample');
        // Large enough for shared memory, which this one does not have.
        return { shape: latent.shape, data: new Float32Array(latent.data.length).fill(cond.prompt.length) };
      }),
    measure: () => job(() => ({ textEncoder: nothing, diffusion: nothing, preview: nothing, vaeEncode: nothing, vaeDecode: nothing, })),
    dispose: () => Promise.resolve(note('dispose model')),
  };
}

module.exports = {
  versions: { engine: '1', engineCommit: 'e', ggml: '2', ggmlCommit: 'g', compiler: 'c', napi: 9 },
  tables: {},
  loadBackends() {
    note('start');
    process.stdout.write('printed by the engine\n');
    if (ordered('exit at start')) process.exit(7);
    if (ordered('throw at start')) throw new Error('no backend here');
    return [{ file: 'libcpu.so', loaded: true, reason: '' }];
  },
  devices: () => [{ name: 'CPU', description: '', type: 'cpu', backend: 'CPU', memoryFree: 1, memoryTotal: 2 }],
  cpuFeatures: () => ({}),
  setLogger: () => undefined,
  createSharedMemory: () => null,
  openSharedMemory: () => null,
  guardEngineProcess: () => undefined,
  inspect: () => job(() => ({ architecture: '', tensors: [] })),
  measureLoad: () => job(() => ({ components: [], readBuffers: 0, mapped: 0 })),
  measureJob: () => job(() => ({})),
  loadUpscaler: () => job(() => undefined),
  loadModel: () =>
    job(() => {
      note('load');
      die('die in load');
      return model();
    }),
};
