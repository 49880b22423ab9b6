import { alternate, type Bench, openSides, pick, pictureNotes, sizeName, withSides } from '../bench.js';
import { ratioRow, type Row, row } from '../statistics.js';
import type { Side, SideRun } from '../types.js';
import type { Measured } from './measured.js';

/** How fast pictures are made: steps, whole pictures, and pictures in a minute. */
export async function throughput(bench: Bench): Promise<Measured> {
  return withSides(openSides(bench, 'resident'), async (sides) => {
    const rows: Row[] = [];
    const notes: string[] = [];
    for (const size of bench.sizes) {
      const request = { ...bench.request, ...size };
      const runs = await alternate(bench, sides, request);
      rows.push(...rowsOf(sizeName(size), sides, runs, request.steps));
      notes.push(...pictureNotes(sizeName(size), sides, runs));
    }
    return {
      compared:
        'step: sampling divided by steps. picture: from the request to the pixels, the model in memory. Sides alternate, the order\n' +
        `turns round every time; a ratio is the median of the ratios of neighbouring runs.${processes(bench)}`,
      rows,
      notes,
      peer: sides[1]?.about,
    };
  });
}

function processes({ settings }: Bench): string {
  return settings.compare?.peer === 'sd-cli'
    ? '\nBoth sides run in a fresh process for every picture; its start and load do not count.'
    : '';
}

function rowsOf(where: string, sides: readonly Side[], runs: readonly (readonly SideRun[])[], steps: number): Row[] {
  const [ours, theirs] = runs;
  const step = (side: readonly SideRun[] | undefined): number[] => pick(side, 'sample').map((ms) => ms / steps);
  const own = sides.flatMap(({ name }, index) => {
    const picture = pick(runs[index], 'total');
    return [
      row(`${where}: ${name} step`, 'ms', step(runs[index])),
      row(`${where}: ${name} encode`, 'ms', pick(runs[index], 'encode')),
      row(`${where}: ${name} decode`, 'ms', pick(runs[index], 'decode')),
      row(`${where}: ${name} picture`, 'ms', picture),
      row(
        `${where}: ${name} pictures`,
        'per minute',
        picture.map((ms) => 60_000 / ms),
      ),
    ];
  });
  if (theirs === undefined) return own;
  return [
    ...own,
    ratioRow(`${where}: step ratio`, step(ours), step(theirs)),
    ratioRow(`${where}: picture ratio`, pick(ours, 'total'), pick(theirs, 'total')),
  ];
}
