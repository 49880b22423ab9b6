import { type Bench, openSides, pick, withSides } from '../bench.js';
import { interleave, ratioRow, type Row, row } from '../statistics.js';
import type { SideRun } from '../types.js';
import type { Measured } from './measured.js';

/** Reading the model, in a fresh process each time. */
export async function load(bench: Bench): Promise<Measured> {
  const { settings, host, signal, files, repeat, warmup, say } = bench;
  await bench.model.dispose();
  const job = { runtime: settings.runtime, load: files };
  // The peers load for a picture; the smallest is enough.
  const edge = bench.model.info.sizeMultiple;
  const request = { ...bench.request, width: edge, height: edge, steps: 1 };
  return withSides(openSides(bench, 'fresh'), async (sides) => {
    const [, peer] = sides;
    const ours: { load: number; process: number }[] = [];
    const theirs: SideRun[] = [];
    const both = [
      async () => void ours.push(await host.fresh(job, signal)),
      ...(peer === undefined ? [] : [async () => void theirs.push(await peer.picture(request))]),
    ];
    await interleave(warmup, both);
    ours.length = 0;
    theirs.length = 0;
    await interleave(repeat, both, (turn) => {
      say(`${String(turn)} of ${String(repeat)}`);
    });
    const own = ours.map((run) => run.load);
    const rows: Row[] = [
      row('node-diffusion load', 'ms', own),
      row(
        'node-diffusion process',
        'ms',
        ours.map((run) => run.process),
      ),
    ];
    if (peer !== undefined) {
      const other = pick(theirs, 'load');
      rows.push(row(`${peer.name} load`, 'ms', other), ratioRow('load ratio', own, other));
    }
    return {
      compared:
        'Fresh processes, files in the page cache. load: runtime.loadModel, with the checks of the headers. process: start of Node,\n' +
        'load and end. sd-cli: from its first to its last line about loading. Python peers: making the modules and their weights.',
      rows,
      notes: [],
      peer: peer?.about,
    };
  });
}
