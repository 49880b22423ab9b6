import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { runChild, runSdCli } from './processes.mjs';
import { interleave } from './statistics.mjs';

/**
 * One request by the addon and by sd-cli, whole processes, one after the other in turn.
 * @returns the runs of the addon and those of sd-cli.
 */
export async function againstSdCli(input, request, repeat) {
  const folder = mkdtempSync(join(tmpdir(), 'node-diffusion-bench-'));
  const pictures = { addon: join(folder, 'addon.png'), sdCli: join(folder, 'sd-cli.png') };
  try {
    const addon = () =>
      runChild(new URL('../children/generate.mjs', import.meta.url), { ...input, request, output: pictures.addon });
    const sdCli = () => runSdCli(input, request, pictures.sdCli);
    const runs = await interleave(repeat, [addon, sdCli], (turn) => {
      process.stderr.write(`  ${turn} of ${repeat}\n`);
    });
    await samePicture(pictures);
    return runs;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Times of two programs compare only when they did the same work: the pixels must be equal. */
async function samePicture({ addon, sdCli }) {
  const [ours, theirs] = await Promise.all([addon, sdCli].map(pixels));
  if (ours !== theirs) throw new Error('The addon and sd-cli made different pictures: their times do not compare.');
}

async function pixels(file) {
  const { data, info } = await sharp(file).removeAlpha().raw().toBuffer({ resolveWithObject: true });
  return createHash('sha256').update(`${info.width}x${info.height}x${info.channels}`).update(data).digest('hex');
}
