import { listUpscalers } from '../../pipeline/index.js';
import { alternate, type Bench, openSides, pick, pictureNotes, sizeName, withSides } from '../bench.js';
import { ratioRow, type Row, row } from '../statistics.js';
import type { BenchHires } from '../types.js';
import type { Measured } from './measured.js';

/** Both sides run as many steps in the second pass at this strength; nearest cells are the same bits on both. */
const usual: BenchHires = { scale: 2, upscaler: 'Latent (nearest)', steps: 0, denoisingStrength: 0.6 };

/** A picture of two passes against one of the same size that is made at once. */
export async function hires(bench: Bench): Promise<Measured> {
  const { signal, model } = bench;
  const second = { ...usual, ...bench.settings.request.hires };
  // A1111's label, which is what sd-cli understands too.
  const upscaler = listUpscalers().find(({ name }) => name === second.upscaler)?.label ?? second.upscaler;
  const passes = { ...second, upscaler, steps: second.steps === 0 ? bench.request.steps : second.steps };
  const { sizeMultiple } = model.info;
  return withSides(openSides(bench, 'resident'), async (sides) => {
    const rows: Row[] = [];
    const notes: string[] = [];
    for (const size of bench.sizes) {
      signal.throwIfAborted();
      const edge = (pixels: number): number => Math.floor((pixels * passes.scale) / sizeMultiple) * sizeMultiple;
      const target = { width: edge(size.width), height: edge(size.height) };
      const where = `${sizeName(size)} to ${sizeName(target)}`;
      const runs = await alternate(bench, sides, { ...bench.request, ...size, hires: passes });
      const [atOnce] = await alternate(bench, sides.slice(0, 1), { ...bench.request, ...target });
      const [ours, theirs] = runs.map((side) => pick(side, 'total'));
      rows.push(
        ...sides.map(({ name }, index) => row(`${where}: ${name} two passes`, 'ms', pick(runs[index], 'total'))),
      );
      rows.push(row(`${where}: node-diffusion at once`, 'ms', pick(atOnce, 'total')));
      rows.push(ratioRow(`${where}: two passes / at once`, ours ?? [], pick(atOnce, 'total')));
      if (theirs !== undefined) rows.push(ratioRow(`${where}: two passes ratio`, ours ?? [], theirs));
      notes.push(...pictureNotes(where, sides, runs));
    }
    return {
      compared:
        `Two passes: the picture, enlarged ${String(passes.scale)} times by ${passes.upscaler}, gone over with ${String(passes.steps)} steps at strength\n` +
        `${String(passes.denoisingStrength)}. at once: txt2img at the size of the second pass. From the request to the pixels.`,
      rows,
      notes,
      peer: sides[1]?.about,
    };
  });
}
