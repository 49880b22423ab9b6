import { alternate, type Bench, openSides, pick, pictureNotes, sizeName, withSides } from '../bench.js';
import { residentSide } from '../own.js';
import { ratioRow, type Row, row } from '../statistics.js';
import type { Measured } from './measured.js';

/** How long somebody waits for one picture: with the model in memory, and from the start of a process. */
export async function latency(bench: Bench): Promise<Measured> {
  const rows: Row[] = [];
  const notes: string[] = [];
  for (const size of bench.sizes) {
    const where = sizeName(size);
    const [runs] = await alternate(bench, [residentSide(bench.model, bench.signal)], { ...bench.request, ...size });
    rows.push(
      row(`${where}: first step, warm`, 'ms', pick(runs, 'firstStep')),
      row(`${where}: picture, warm`, 'ms', pick(runs, 'total')),
    );
  }
  await bench.model.dispose();
  const peer = await withSides(openSides(bench, 'fresh'), async (sides) => {
    for (const size of bench.sizes) {
      const where = sizeName(size);
      const runs = await alternate(bench, sides, { ...bench.request, ...size });
      const cold = runs.map((side) => pick(side, 'process'));
      rows.push(...sides.map(({ name }, index) => row(`${where}: ${name} cold`, 'ms', cold[index] ?? [])));
      if (cold[1] !== undefined) rows.push(ratioRow(`${where}: cold ratio`, cold[0] ?? [], cold[1]));
      notes.push(...pictureNotes(where, sides, runs));
    }
    return sides[1]?.about;
  });
  return {
    compared:
      'warm: from the request to the end of the first step, and to the pixels, with the model in memory. cold: from the start of a\n' +
      'fresh process to its end, with load, picture and file; of a Python peer to the picture. Files are in the page cache.',
    rows,
    notes,
    peer,
  };
}
