import { hasOpenvino, openvinoNotBuilt } from '../tools/openvino.mjs';
import { runChild } from '../tools/processes.mjs';
import { goal, ratioRow, row } from '../tools/shared.mjs';

/** Most of the CPU backend's time that a part may take, by size. */
const limits = {
  step: { 64: 0.8, other: 0.5 },
  decode: { other: 0.28 },
  encode: { other: 0.6 },
  total: { 64: 0.8, other: 0.5 },
};

/** The OpenVINO backend against the CPU backend, in turn in one process with the same weights. */
export const openvino = {
  name: 'openvino',
  title: 'OpenVINO against the CPU backend',
  async run(input, { quick, repeat = quick ? 1 : 5 }) {
    if (!hasOpenvino()) return openvinoNotBuilt;
    const request = { repeat, steps: quick ? 1 : 4, sizes: quick ? [64] : [64, 256, 512] };
    const { sizes, rss } = await runChild(new URL('../children/openvino.mjs', import.meta.url), { ...input, request });
    const rows = [row('resident memory of both', 'MiB', [rss / 2 ** 20])];
    const goals = [];
    for (const [side, { first, openvino: ours, cpu }] of Object.entries(sizes)) {
      rows.push(row(`${side}: first picture, compiling`, 'ms', [first]));
      for (const [part, limit] of Object.entries(limits)) {
        const [mine, theirs] = [ours, cpu].map((runs) => runs.map((run) => run[part]));
        const ratio = ratioRow(`${side}: ${part}, openvino / cpu`, mine, theirs);
        rows.push(row(`${side}: ${part}, openvino`, 'ms', mine), row(`${side}: ${part}, cpu`, 'ms', theirs), ratio);
        goals.push(goal(ratio.name, ratio.median, '<=', limit[side] ?? limit.other, 'x'));
      }
    }
    return {
      compared: 'One process; text encoder, one evaluation of the UNet and VAE decode of the embedded model, in turn.',
      repeat,
      rows,
      goals,
    };
  },
};
