import { join } from 'node:path';
import { inFolder } from '../tools/folders.mjs';
import { runOurs, runSdCli } from '../tools/processes.mjs';
import { goal, interleave, ratioRow, row } from '../tools/shared.mjs';

/**
 * Loading the embedded model's files in fresh processes. Ours is the time of `runtime.loadModel`, which also checks the
 * headers in TypeScript; sd-cli's is the time between its first line about loading and its first line after it, as they
 * arrive here. sd-cli is built from the same object files, so its loader polls as ours does.
 */
export const load = {
  name: 'load',
  title: 'loading a model, addon against sd-cli',
  async run(input, { quick, repeat = quick ? 2 : 15 }) {
    const smallest = {
      ...{ prompt: '', negativePrompt: '', seed: 1, width: 64, height: 64, steps: 1, cfgScale: 1 },
      ...{ sampler: 'euler', schedule: 'discrete' },
    };
    return inFolder(async (folder) => {
      const [ours, theirs] = await interleave(repeat, [
        () => runOurs(input),
        () => runSdCli(input, smallest, join(folder, 'sd-cli.png')),
      ]);
      const pick = (side, key) => side.map((run) => run[key]);
      const ratio = ratioRow('load ratio', pick(ours, 'load'), pick(theirs, 'load'));
      return {
        compared:
          'Fresh processes, files in the page cache. addon: runtime.loadModel. sd-cli: from its first to its last line about\n' +
          "loading. tensors: both engines' own line on reading the tensors, to 10 ms.",
        repeat,
        rows: [
          row('addon load', 'ms', pick(ours, 'load')),
          row('sd-cli load', 'ms', pick(theirs, 'load')),
          row('addon tensors', 'ms', pick(ours, 'tensors')),
          row('sd-cli tensors', 'ms', pick(theirs, 'tensors')),
          ratio,
        ],
        goals: [goal('load ratio', ratio.median, '<=', 1.05, 'x')],
      };
    });
  },
};
