import { inFolder } from '../tools/folders.mjs';
import { againstSdCli } from '../tools/against-sd-cli.mjs';
import { runChild } from '../tools/processes.mjs';
import { goal, interleave, ratioRow, row } from '../tools/shared.mjs';

/**
 * The hires pass. Against sd-cli's own: whole processes, 64x64 to 128x128, equal pixels. And with two checkpoints: a
 * batch of 8 in one job against 8 jobs, in one process each, and what the change of models costs when both are in
 * memory. The second checkpoint is a copy of the first, so that only the changes differ.
 */
export const hires = {
  name: 'hires',
  title: 'hires pass, 64x64 to 128x128, embedded model',
  async run(input, { quick, repeat = quick ? 2 : 7 }) {
    return inFolder(async (folder) => {
      const [ours, theirs] = await againstSdCli(input, request, repeat);
      const batch = (jobs) => () =>
        runChild(new URL('../children/hires-batch.mjs', import.meta.url), { ...input, folder, request, jobs });
      const turns = quick ? 1 : 3;
      const [one, eight] = await interleave(turns, [batch(1), batch(8)], (turn) => {
        process.stderr.write(`  batch ${turn} of ${turns}\n`);
      });
      return report(ours, theirs, one, eight, repeat);
    });
  },
};

/**
 * Both sides run 4 steps in the second pass: their rules for steps agree at this strength. Of the upscalers, those that
 * copy the nearest cell have the same bits on both sides.
 */
const request = {
  prompt: 'a red apple',
  negativePrompt: '',
  seed: 1,
  width: 64,
  height: 64,
  steps: 4,
  cfgScale: 3,
  sampler: 'euler',
  schedule: 'discrete',
  hires: { scale: 2, upscaler: 'Latent (nearest)', steps: 4, denoisingStrength: 0.6 },
};

function report(ours, theirs, one, eight, repeat) {
  const pick = (side, key) => side.map((run) => run[key]);
  const ratios = {
    process: ratioRow('total ratio', pick(ours, 'process'), pick(theirs, 'process')),
    generate: ratioRow('generate ratio', pick(ours, 'total'), pick(theirs, 'total')),
    batch: ratioRow('batch / 8 jobs', pick(one, 'seconds'), pick(eight, 'seconds')),
  };
  const later = (key) => eight.flatMap(({ [key]: all }) => all.slice(1));
  const [switches, between] = [later('switches'), later('between')];
  return {
    compared:
      'Whole processes against sd-cli --hires, same files, request and threads, equal pixels. Batch: 8 pictures with a second\n' +
      'checkpoint in one job and in 8 jobs, all loads included. Both models in memory, from the second job on: switch is what the\n' +
      'event of that name says, turns and weights; between the passes is everything from the last step of the first pass to the\n' +
      'first step of the second: memory, LoRAs, prompts found again, noise levels and the enlarging of the latent as well.',
    request,
    repeat,
    rows: [
      row('addon process', 'ms', pick(ours, 'process')),
      row('sd-cli process', 'ms', pick(theirs, 'process')),
      row('addon generate', 'ms', pick(ours, 'total')),
      row('sd-cli generate', 'ms', pick(theirs, 'total')),
      ratios.process,
      ratios.generate,
      row('batch of 8', 's', pick(one, 'seconds')),
      row('8 jobs', 's', pick(eight, 'seconds')),
      ratios.batch,
      row('switch', 'ms', switches),
      row('between the passes', 'ms', between),
      row('loads of the batch', '', pick(one, 'loads')),
    ],
    goals: [
      goal('total ratio', ratios.process.median, '<=', 1.02, 'x'),
      goal('generate ratio', ratios.generate.median, '<=', 1.02, 'x'),
      goal('switch', Math.max(...switches, ...between), '<=', 20, 'ms'),
    ],
  };
}
