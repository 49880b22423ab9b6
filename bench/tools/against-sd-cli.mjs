import { join } from 'node:path';
import { inFolder } from './folders.mjs';
import { runOurs, runSdCli } from './processes.mjs';
import { interleave, psnr, readPixels } from './shared.mjs';

/**
 * One request by the addon and by sd-cli, whole processes, one after the other in turn.
 * @returns the runs of the addon and those of sd-cli.
 */
export async function againstSdCli(input, request, repeat) {
  return inFolder(async (folder) => {
    const pictures = [join(folder, 'addon.png'), join(folder, 'sd-cli.png')];
    const sides = [() => runOurs(input, request, pictures[0]), () => runSdCli(input, request, pictures[1])];
    const runs = await interleave(repeat, sides, (turn) => {
      process.stderr.write(`  ${turn} of ${repeat}\n`);
    });
    // Times of two programs compare only when they did the same work.
    const [ours, theirs] = await Promise.all(pictures.map((file) => readPixels(file)));
    if (psnr(ours, theirs) !== Infinity) {
      throw new Error('The addon and sd-cli made different pictures: their times do not compare.');
    }
    return runs;
  });
}
