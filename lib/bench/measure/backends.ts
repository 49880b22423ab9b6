import { alternate, type Bench, pick, pictureNotes, sizeName } from '../bench.js';
import { residentSide } from '../own.js';
import { ratioRow, type Row, row } from '../statistics.js';
import type { BenchRuntime, Side, SideRun } from '../types.js';
import type { Measured } from './measured.js';

/** The same request on every backend, in turn in one process, with the same weights. */
export async function backends(bench: Bench): Promise<Measured> {
  const { settings, host, signal } = bench;
  const names = settings.backends ?? [...new Set(bench.runtime.devices.map(({ backend }) => backend))].sort();
  const runtimes: BenchRuntime[] = [];
  try {
    const sides: Side[] = [];
    for (const name of names) {
      const { device: _, ...options } = settings.runtime;
      const runtime = await host.createRuntime({ ...options, backend: name as 'cpu' });
      runtimes.push(runtime);
      const model = await runtime.loadModel({ ...settings.load, conditioningCacheBytes: 0, signal });
      sides.push(residentSide(model, signal, name));
    }
    const rows: Row[] = [];
    const notes: string[] = [];
    for (const size of bench.sizes) {
      const request = { ...bench.request, ...size };
      const first: SideRun[] = [];
      for (const side of sides) first.push(await side.picture(request));
      const runs = await alternate(bench, sides, request);
      rows.push(...rowsOf(sizeName(size), sides, first, runs, request.steps));
      notes.push(...pictureNotes(sizeName(size), sides, runs));
    }
    return {
      compared:
        'One process, the model loaded on each backend, in turn. first: the first picture of a size, with what is compiled for it.\n' +
        `Ratios are to ${names[0] ?? ''}: below 1 is faster.`,
      rows,
      notes,
    };
  } finally {
    await Promise.allSettled(runtimes.map((runtime) => runtime.dispose({ abort: true })));
  }
}

function rowsOf(
  where: string,
  sides: readonly Side[],
  first: readonly SideRun[],
  runs: readonly (readonly SideRun[])[],
  steps: number,
): Row[] {
  const own = sides.flatMap(({ name }, index) => [
    row(`${where}: ${name} first`, 'ms', pick(first.slice(index, index + 1), 'total')),
    row(
      `${where}: ${name} step`,
      'ms',
      pick(runs[index], 'sample').map((ms) => ms / steps),
    ),
    row(`${where}: ${name} encode`, 'ms', pick(runs[index], 'encode')),
    row(`${where}: ${name} decode`, 'ms', pick(runs[index], 'decode')),
    row(`${where}: ${name} picture`, 'ms', pick(runs[index], 'total')),
  ]);
  const ratios = sides
    .slice(1)
    .map(({ name }, index) =>
      ratioRow(`${where}: ${name} / ${sides[0]?.name ?? ''}`, pick(runs[index + 1], 'total'), pick(runs[0], 'total')),
    );
  return [...own, ...ratios];
}
