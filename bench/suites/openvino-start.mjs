import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { inFolder, removeFolder } from '../tools/folders.mjs';
import { runChild } from '../tools/processes.mjs';
import { hasOpenvino, openvinoNotBuilt } from '../tools/openvino.mjs';
import { goal, median, row, writeSyntheticLoras } from '../tools/shared.mjs';

/** What has to be compiled, against a cold start: in a new process with a disk cache, and for new sets of LoRAs. */
export const openvinoStart = {
  name: 'openvino-start',
  title: 'OpenVINO: first evaluation of a size, and of a set of LoRAs',
  async run(input, { quick, repeat = quick ? 1 : 3 }) {
    if (!hasOpenvino()) return openvinoNotBuilt;
    return inFolder(async (folder) => {
      const { paths: loras, modules } = await writeSyntheticLoras(
        folder,
        input.checkpoint,
        16,
        [1, 2, 3],
        new AbortController().signal,
      );
      const rows = [];
      const goals = [];
      for (const side of quick ? [64] : [64, 256]) {
        const runs = { cold: [], disk: [], inputs: [] };
        for (let turn = 0; turn < repeat; turn++) {
          const cache = join(folder, `${side}-${turn}`);
          const child = (more) =>
            runChild(new URL('../children/openvino-start.mjs', import.meta.url), {
              ...input,
              request: { cache, diskCache: false, weightInputs: false, side, loras: [], ...more },
            });
          runs.cold.push(await child({ loras }));
          runs.inputs.push(await child({ weightInputs: true, loras }));
          await child({ diskCache: true });
          runs.bytes = sizeOf(join(cache, 'openvino'));
          runs.disk.push(await child({ diskCache: true }));
          removeFolder(cache);
        }
        report(side, runs, rows, goals);
      }
      return { compared: compared(modules), modules, repeat, rows, goals };
    });
  },
};

function report(side, { cold, disk, inputs, bytes }, rows, goals) {
  const start = cold.map((run) => run.start.overhead);
  const add = (what, values, limit) => {
    rows.push(row(`${side}: ${what}`, 'ms', values));
    if (limit !== undefined)
      goals.push(goal(`${side}: ${what} / cold`, median(values) / median(start), '<=', limit, 'x'));
  };
  add('cold', start);
  add(
    'new process with the disk cache',
    disk.map((run) => run.start.overhead),
    0.3,
  );
  rows.push(row(`${side}: disk cache`, 'MiB', [bytes / 2 ** 20]));
  add(
    'first set of LoRAs',
    cold.map((run) => run.sets[0].overhead),
    0.3,
  );
  add(
    'each further set',
    cold.flatMap((run) => run.sets.slice(1).map((set) => set.overhead)),
    0.3,
  );
  add(
    'first set with weightInputs',
    inputs.map((run) => run.sets[0].overhead),
    0.3,
  );
  add(
    'an evaluation, weights constant',
    cold.map((run) => run.start.step),
  );
  add(
    'an evaluation, weights inputs',
    inputs.map((run) => run.start.step),
  );
  rows.push(
    row(
      `${side}: resident memory, weights constant, then inputs too`,
      'MiB',
      cold.map((run) => run.rss / 2 ** 20),
    ),
  );
  rows.push(
    row(
      `${side}: resident memory with weightInputs`,
      'MiB',
      inputs.map((run) => run.rss / 2 ** 20),
    ),
  );
}

const compared = (modules) =>
  'Embedded model; a process for each value. Overhead: what the first evaluation takes longer than the fastest after it.\n' +
  `LoRAs of rank 16 on ${modules} modules of the UNet; merging them is not in the figures.`;

function sizeOf(folder) {
  return readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
}
