import { againstSdCli } from '../tools/against-sd-cli.mjs';
import { goal, ratioRow, row } from '../tools/shared.mjs';

/**
 * The addon against sd-cli, whole processes on both sides: start, load, encode, sample, decode, write a PNG, end.
 * The step time is sampling divided by steps: the engine's own log line on sd-cli's side; on ours the time between the
 * call of the native operation and its result in JavaScript, so the crossing of threads counts against us.
 */
export const engine = {
  name: 'engine',
  title: 'addon against sd-cli, 128x128, embedded model',
  async run(input, { quick, repeat = quick ? 2 : 7 }) {
    const steps = quick ? 3 : 10;
    const request = { ...base, steps };
    const [ours, theirs] = await againstSdCli(input, request, repeat);
    return report(ours, theirs, repeat, request);
  },
};

const base = {
  prompt: 'a red apple',
  negativePrompt: '',
  seed: 1,
  width: 128,
  height: 128,
  cfgScale: 3,
  sampler: 'euler',
  schedule: 'discrete',
};

/** Names of rows and of what a run has. */
const figures = {
  ...{ process: 'process', load: 'load', encode: 'encode', sample: 'sample', decode: 'decode' },
  generate: 'total',
};

function report(ours, theirs, repeat, request) {
  const pick = (side, key) => side.map((run) => run[key]);
  const step = (side) => side.map((run) => run.sample / request.steps);
  const ratios = {
    step: ratioRow('step ratio', step(ours), step(theirs)),
    process: ratioRow('total ratio', pick(ours, 'process'), pick(theirs, 'process')),
    generate: ratioRow('generate ratio', pick(ours, 'total'), pick(theirs, 'total')),
  };
  return {
    compared:
      `Whole processes, same files, request and threads; ${request.steps} Euler steps, equal pixels. total: start to end of\n` +
      'the process. generate: encode + sample + decode. Ratios are medians of the ratios of neighbouring runs.',
    request,
    repeat,
    rows: [
      ...Object.entries(figures).flatMap(([name, key]) => [
        row(`addon ${name}`, 'ms', pick(ours, key)),
        row(`sd-cli ${name}`, 'ms', pick(theirs, key)),
      ]),
      row('addon step', 'ms', step(ours)),
      row('sd-cli step', 'ms', step(theirs)),
      ratios.step,
      ratios.process,
      ratios.generate,
    ],
    goals: [
      goal('step ratio', ratios.step.median, '<=', 1.02, 'x'),
      goal('total ratio', ratios.process.median, '<=', 1.02, 'x'),
    ],
  };
}
