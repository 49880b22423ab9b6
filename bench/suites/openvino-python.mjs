import { inFolder } from '../tools/folders.mjs';
import { hasOpenvino, nothing, openvinoChild, openvinoNotBuilt } from '../tools/openvino.mjs';
import { goal, pythonSide, ratioRow, row } from '../tools/shared.mjs';
import { writeSyntheticSd1 } from '../tools/synthetic.mjs';

/**
 * The OpenVINO backend against the same networks converted from PyTorch and run by OpenVINO's own Python API
 * (bench/peers). Each picture is made in a process of its own, in turn, so that neither side has less memory for the
 * other's sake.
 */
export const openvinoPython = {
  name: 'openvino-python',
  title: 'OpenVINO: ours against its Python API (needs --openvino-python)',
  async run(input, options) {
    if (!hasOpenvino()) return openvinoNotBuilt;
    if (options.openvinoPython === undefined) return nothing('Not asked for: --openvino-python PYTHON');
    return inFolder(async (folder) => {
      const { checkpoint } = await writeSyntheticSd1(folder, 4, []);
      return await compare({ checkpoint, threads: input.threads }, options);
    });
  },
};

async function compare(load, { openvinoPython: python, quick, repeat = quick ? 1 : 3 }) {
  const [rows, goals] = [[], []];
  for (const side of quick ? [64] : [256, 512]) {
    const steps = quick ? 1 : 4;
    const runs = { mine: [], theirs: [] };
    const take = {
      mine: async () => runs.mine.push(await mine(load, side, steps)),
      theirs: async () => runs.theirs.push(await theirs(python, load, side, steps)),
    };
    for (let turn = 0; turn < repeat; turn++) {
      for (const name of turn % 2 === 0 ? ['mine', 'theirs'] : ['theirs', 'mine']) await take[name]();
    }
    report(side, runs, rows, goals);
  }
  return { compared, repeat, rows, goals };
}

/** The second picture of a process: its first compiles. */
async function mine({ checkpoint, threads }, side, steps) {
  const request = { load: { checkpoint }, backends: ['openvino'], sizes: [side], steps, repeat: 1 };
  const { sizes } = await openvinoChild(threads, request);
  const { first, runs } = sizes[side];
  const { encode, total } = first.openvino;
  return { ...runs.openvino[0], first: total - encode };
}

async function theirs(python, load, side, steps) {
  const peer = await pythonSide('openvino-python', python, load, new AbortController().signal, false);
  try {
    const size = { width: side, height: side };
    const request = { prompt: 'a red apple', negativePrompt: '', ...size, steps, cfgScale: 1, seed: 1 };
    // It compiles its text encoder when it loads.
    const { encode, total } = await peer.picture(request);
    const times = await peer.picture(request);
    return { encode: times.encode, step: times.sample / steps, decode: times.decode, first: total - encode };
  } finally {
    await peer.close();
  }
}

const parts = { encode: 'text encoder', step: 'UNet evaluation', decode: 'VAE decode (KL decoder)' };

function report(side, runs, rows, goals) {
  const label = `SD 1.5, ${side}`;
  for (const [part, what] of Object.entries(parts)) {
    const [ours, others] = [runs.mine, runs.theirs].map((list) => list.map((run) => run[part]));
    const ratio = ratioRow(`${label}: ${what}, ours / OpenVINO's Python API`, ours, others);
    rows.push(row(`${label}: ${what}, ours`, 'ms', ours));
    rows.push(row(`${label}: ${what}, OpenVINO's Python API`, 'ms', others), ratio);
    goals.push(goal(ratio.name, ratio.median, '<=', 1.05, 'x'));
  }
  const first = [runs.mine, runs.theirs].map((list) => list.map((run) => run.first));
  rows.push(row(`${label}: first sampling and decode, compiling, ours`, 'ms', first[0]));
  rows.push(row(`${label}: the same, converting and compiling, OpenVINO's Python API`, 'ms', first[1]));
}

const compared =
  'SD 1.5: synthetic checkpoint of its shape, f16 weights; theirs: the modules of diffusers converted, f32. A process for\n' +
  'each picture, in turn; its first compiles and the second counts.';
