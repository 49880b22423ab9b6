import { alternate, type Bench, openSides, pick, sizeName, withSides } from '../bench.js';
import { ratioRow, type Row, row } from '../statistics.js';
import type { FreshResult, Side } from '../types.js';
import type { Measured } from './measured.js';

const mib = 2 ** 20;

/** Most resident memory of a fresh process, and what was estimated before. */
export async function memory(bench: Bench): Promise<Measured> {
  const { settings, host, signal, model, runtime } = bench;
  const { peak: loadPeak } = await runtime.estimateLoad(settings.load);
  const estimates: number[] = [];
  for (const size of bench.sizes) {
    estimates.push((await model.estimate({ ...bench.request, ...size, signal })).job);
  }
  await model.dispose();
  const details: FreshResult[] = [];
  const watching = { ...bench, host: { ...host, fresh: remember(host.fresh, details) } };
  const rows: Row[] = [];
  const peer = await withSides(openSides(watching, 'fresh', true), async (sides) => {
    for (const [index, size] of bench.sizes.entries()) {
      const where = sizeName(size);
      details.length = 0;
      const runs = await alternate(watching, sides, { ...bench.request, ...size });
      const own = details.slice(-bench.repeat);
      const resting = own.map((run) => (run.resting - run.start) / mib);
      const job = own.map((run) => (run.peak - run.resting) / mib);
      rows.push(
        row(
          `${where}: node-diffusion before the load`,
          'MiB',
          own.map((run) => run.start / mib),
        ),
        row(`${where}: node-diffusion model`, 'MiB', resting),
        row(`${where}: node-diffusion model, estimated`, 'MiB', [loadPeak / mib]),
        row(`${where}: node-diffusion job`, 'MiB', job),
        row(`${where}: node-diffusion job, estimated`, 'MiB', [(estimates[index] ?? NaN) / mib]),
        ...peaks(
          where,
          sides,
          runs.map((side) => pick(side, 'peak').map((bytes) => bytes / mib)),
        ),
      );
    }
    return sides[1]?.about;
  });
  return {
    compared:
      'Resident memory of fresh processes. model: what the load adds. job: from there to the most of all, one picture. peak: the\n' +
      'most of the whole process, Node and the libraries of the peer included. estimated: runtime.estimateLoad, model.estimate.',
    rows,
    notes: [],
    peer,
  };
}

function peaks(where: string, sides: readonly Side[], values: readonly (readonly number[])[]): Row[] {
  const rows = sides.map(({ name }, index) => row(`${where}: ${name} peak`, 'MiB', values[index] ?? []));
  const [ours, theirs] = values;
  return theirs === undefined ? rows : [...rows, ratioRow(`${where}: peak ratio`, ours ?? [], theirs)];
}

/** Keeps what fresh processes tell beside the times of the picture. */
function remember(fresh: Bench['host']['fresh'], details: FreshResult[]): Bench['host']['fresh'] {
  return async (job, signal) => {
    const result = await fresh(job, signal);
    details.push(result);
    return result;
  };
}
