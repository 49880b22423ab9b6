import { inFolder } from '../tools/folders.mjs';
import { hasOpenvino, openvinoChild, openvinoNotBuilt } from '../tools/openvino.mjs';
import { goal, ratioRow, row } from '../tools/shared.mjs';
import { writeSyntheticSd1 } from '../tools/synthetic.mjs';

/** Most of the CPU backend's time that a part may take, by size. */
const limits = {
  encode: { other: 0.6 },
  step: { 64: 0.8, other: 0.5 },
  decode: { other: 0.28 },
  total: { 64: 0.8, other: 0.5 },
};
const backends = ['openvino', 'cpu'];

/**
 * The OpenVINO backend against the CPU backend with the same weights: the parts of a picture in turn in one process for
 * each size, and whole jobs in a process for each backend.
 */
export const openvino = {
  name: 'openvino',
  title: 'OpenVINO against the CPU backend',
  async run(input, options) {
    if (!hasOpenvino()) return openvinoNotBuilt;
    return inFolder(async (folder) => {
      const { checkpoint: sd1 } = await writeSyntheticSd1(folder, 4, []);
      return await compare(input, sd1, options);
    });
  },
};

async function compare(input, sd1, { quick, repeat }) {
  const sizes = quick ? [64] : [64, 256, 512];
  const models = [
    {
      name: 'embedded model',
      decoder: 'tiny autoencoder',
      load: { checkpoint: input.checkpoint, taesd: input.taesd },
      ...{ sizes, steps: quick ? 1 : 4, repeat: repeat ?? (quick ? 1 : 5) },
    },
    // An evaluation takes a multiple of the embedded model's, so a step of each is enough.
    {
      name: 'SD 1.5',
      decoder: 'KL decoder',
      load: { checkpoint: sd1 },
      ...{ sizes, steps: 1, repeat: repeat ?? (quick ? 1 : 3) },
    },
  ];
  const [rows, goals] = [[], []];
  for (const model of models) {
    // A process for each size: graphs of the sizes before would fill the memory that two backends share.
    for (const side of model.sizes) {
      const { sizes: measured } = await openvinoChild(input.threads, { ...model, sizes: [side], backends });
      report(model, side, measured[side], rows, goals);
    }
  }
  const job = quick ? { side: 64, steps: 2 } : { side: 512, steps: 20 };
  await jobs(input, sd1, job, rows, goals);
  return { compared, repeat: repeat ?? models[1].repeat, rows, goals };
}

function report({ name, decoder }, side, { first, runs }, rows, goals) {
  const label = `${name}, ${side}`;
  const parts = { encode: 'text encoder', step: 'UNet evaluation', decode: `VAE decode (${decoder})`, total: 'sum' };
  rows.push(row(`${label}: first picture, compiling`, 'ms', [first.openvino.total]));
  for (const [part, limit] of Object.entries(limits)) {
    const [mine, theirs] = backends.map((backend) => runs[backend].map((run) => run[part]));
    const ratio = ratioRow(`${label}: ${parts[part]}, openvino / cpu`, mine, theirs);
    rows.push(row(`${label}: ${parts[part]}, openvino`, 'ms', mine));
    rows.push(row(`${label}: ${parts[part]}, cpu`, 'ms', theirs), ratio);
    goals.push(goal(ratio.name, ratio.median, '<=', limit[side] ?? limit.other, 'x'));
  }
}

/** A whole job of the SD 1.5 shape in a process for each backend, whose peak is that of the backend alone. */
async function jobs(input, sd1, job, rows, goals) {
  const label = `SD 1.5, ${job.side}: job of ${job.steps} steps`;
  const times = {};
  for (const backend of backends) {
    const run = await openvinoChild(input.threads, { load: { checkpoint: sd1 }, backends: [backend], job });
    times[backend] = run.job;
    rows.push(row(`${label}, ${backend}`, 'ms', [run.job]));
    rows.push(row(`${label}, peak resident memory, ${backend}`, 'MiB', [run.peak / 2 ** 20]));
  }
  const ratio = ratioRow(`${label}, openvino / cpu`, [times.openvino], [times.cpu]);
  rows.push(ratio);
  goals.push(goal(ratio.name, ratio.median, '<=', job.side === 64 ? limits.total[64] : limits.total.other, 'x'));
}

const compared =
  'SD 1.5: synthetic checkpoint of its shape, f16 weights, with its KL decoder; embedded model: small UNet, tiny autoencoder.\n' +
  'Parts of a picture: both backends in one process in turn, a process for each size. Jobs and peak memory: a process for\n' +
  'each backend, compiled before.';
