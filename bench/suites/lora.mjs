import { inFolder } from '../tools/folders.mjs';
import { runChild, runSdCliLora } from '../tools/processes.mjs';
import { goal, median, row } from '../tools/shared.mjs';
import { writeSyntheticSd1 } from '../tools/synthetic.mjs';

/**
 * Merging a LoRA of 232 modules of rank 16 into a checkpoint of SD 1.5's shape, against the engine's own merge of the
 * same file (sd-cli, its line "lora … applied, taking …") and against loading the checkpoint, in one run.
 */
export const lora = {
  name: 'lora',
  title: 'LoRA: merge, change, restore, against the engine',
  async run(input, { quick, repeat = quick ? 2 : 7 }) {
    return inFolder(async (folder) => {
      const files = await writeSyntheticSd1(folder, 16, [1, 2]);
      const request = { ...input, ...files, repeat };
      const child = (cacheBytes) =>
        runChild(new URL('../children/lora.mjs', import.meta.url), { ...request, cacheBytes });
      const plain = [];
      for (let turn = 0; turn < (quick ? 1 : 5); turn++) plain.push(await child(0));
      const kept = await child(2 ** 31);
      const engine = [];
      for (let turn = 0; turn < (quick ? 1 : 3); turn++)
        engine.push((await runSdCliLora(input, { checkpoint: files.checkpoint, lora: files.loras[0] })).merge);
      return report(files, plain, kept, engine, repeat);
    });
  },
};

const mib = 2 ** 20;
const largest = 10_240 * 1_280 * 2;

function report(files, plain, kept, engine, repeat) {
  const all = (name) => plain.flatMap((one) => one[name]);
  const merge = median(all('merge'));
  const restore = median(all('restore'));
  const ratio = (value, of) => value / of;
  return {
    compared:
      `${files.modules} modules of rank 16, f16 weights; the digest after is the digest before. Rows of ours: ${plain.length} processes,\n` +
      'since where the system puts the pages of file and model moves a process by a third either way; kept set: one.\n' +
      "engine merge: sd-cli's own line on the same file. load: runtime.loadModel of the same checkpoint, files in the page cache.",
    modules: plain[0].modules,
    repeat,
    rows: [
      row('load', 'ms', all('load')),
      row('merge', 'ms', all('merge')),
      row('change', 'ms', all('change')),
      row('restore', 'ms', all('restore')),
      row('same set', 'ms', all('same')),
      row('kept set', 'ms', kept.copied),
      row('engine merge', 'ms', engine),
      row(
        'extra memory',
        'MiB',
        all('extra').map((bytes) => bytes / mib),
      ),
    ],
    goals: [
      goal('merge / engine merge', ratio(merge, median(engine)), '<=', 0.1, 'x'),
      goal('merge / load', ratio(merge, Math.min(...all('load'))), '<=', 0.4, 'x'),
      goal('restore / merge', ratio(restore, merge), '<=', 0.5, 'x'),
      goal('kept set / merge', ratio(median(kept.copied), merge), '<=', 0.3, 'x'),
      goal('same set', median(all('same')), '<=', 1, 'ms'),
      goal('extra memory', Math.max(...all('extra')) / mib, '<=', 64 + largest / mib, 'MiB'),
    ],
  };
}
