import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { DiffusionError } from '../../errors/index.js';
import type { Bench } from '../bench.js';
import { runSdCliLora, sdCliAbout } from '../peers/sdCli.js';
import { ratioRow, type Row, row } from '../statistics.js';
import { writeSyntheticLoras } from '../syntheticLora.js';
import type { BenchModel } from '../types.js';
import type { Measured } from './measured.js';

const rank = 16;
const cacheBytes = 2 ** 31;

type Figure = 'merge' | 'same' | 'change' | 'restore' | 'engine';

interface EngineMerge {
  readonly about: Readonly<Record<string, unknown>>;
  /** Milliseconds. */
  merge(): Promise<number>;
}

/** Merging, changing and restoring LoRAs, and going back to a set that was kept. */
export async function lora(bench: Bench): Promise<Measured> {
  const { settings, signal, runtime, model } = bench;
  const folder = await mkdtemp(join(tmpdir(), 'node-diffusion-bench-'));
  try {
    const paths = settings.loras?.map((path) => resolve(path)) ?? (await makeUp(bench, folder));
    const [one = '', other] = paths;
    const before = await model.weightsDigest({ signal });
    const peer = settings.compare === undefined ? undefined : await engineMerge(bench, one);
    const { times, tensors } = await turns(bench, one, other, peer);
    const after = await model.weightsDigest({ signal });
    if (after.sha256 !== before.sha256)
      throw new DiffusionError('ERR_ENGINE', 'The weights are not the original bytes.');
    await model.dispose();
    const keeping = await runtime.loadModel({ ...settings.load, loraCacheBytes: cacheBytes, signal });
    const kept = await timesOfKept(bench, keeping, one);
    const rows: Row[] = [
      row('merge', 'ms', times.merge),
      row('same set', 'ms', times.same),
      ...(other === undefined ? [] : [row('change', 'ms', times.change)]),
      row('restore', 'ms', times.restore),
      row('kept set', 'ms', kept),
      ...(peer === undefined
        ? []
        : [row('sd-cli merge', 'ms', times.engine), ratioRow('merge ratio', times.merge, times.engine)]),
    ];
    const made =
      settings.loras === undefined ? `LoRAs of random numbers, rank ${String(rank)}` : 'The given LoRA files';
    return {
      compared:
        `${made}; ${String(tensors)} tensors change. merge: from none to the first. change: from the first to the second.\n` +
        'restore: back to none; the digest of the weights is then the one before. kept: back to a set that was kept in memory.',
      rows,
      notes: [],
      peer: peer?.about,
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function makeUp({ files, signal }: Bench, folder: string): Promise<readonly string[]> {
  const checkpoint = files.checkpoint ?? files.diffusionModel ?? '';
  return (await writeSyntheticLoras(folder, checkpoint, rank, [1, 2], signal)).paths;
}

async function timed(model: BenchModel, paths: readonly string[], signal: AbortSignal) {
  const start = performance.now();
  const report = await model.loras.set(
    paths.map((path) => ({ path })),
    { signal },
  );
  return { ms: performance.now() - start, report };
}

async function turns(bench: Bench, one: string, other: string | undefined, engine: EngineMerge | undefined) {
  const { model, repeat, warmup, signal, say } = bench;
  const times = { merge: [], same: [], change: [], restore: [], engine: [] } as Record<Figure, number[]>;
  let tensors = 0;
  for (let turn = -warmup; turn < repeat; turn++) {
    const found: Partial<Record<Figure, number>> = {};
    const own = async (): Promise<void> => {
      const merge = await timed(model, [one], signal);
      tensors = merge.report.tensors;
      found.merge = merge.ms;
      found.same = (await timed(model, [one], signal)).ms;
      if (other !== undefined) found.change = (await timed(model, [other], signal)).ms;
      found.restore = (await timed(model, [], signal)).ms;
    };
    const theirs = async (): Promise<void> => {
      if (engine !== undefined) found.engine = await engine.merge();
    };
    // The sides alternate and the order turns round, as everywhere.
    for (const side of turn % 2 === 0 ? [own, theirs] : [theirs, own]) await side();
    if (turn < 0) continue;
    for (const [figure, ms] of Object.entries(found) as [Figure, number][]) times[figure].push(ms);
    say(`${String(turn + 1)} of ${String(repeat)}`);
  }
  return { times, tensors };
}

/** Milliseconds of going back to a set whose tensors are still in memory. */
async function timesOfKept({ repeat, signal }: Bench, model: BenchModel, one: string): Promise<number[]> {
  const times: number[] = [];
  const { report } = await timed(model, [one], signal);
  for (let turn = 0; turn < repeat; turn++) {
    await timed(model, [], signal);
    const { ms, report: again } = await timed(model, [one], signal);
    if (again.copied !== report.tensors) {
      throw new DiffusionError('ERR_ENGINE', `${String(again.copied)} of ${String(report.tensors)} tensors were kept.`);
    }
    times.push(ms);
  }
  return times;
}

/** The engine's own merge of the same file, by sd-cli in a process of its own. */
async function engineMerge({ settings, files, request, model, signal }: Bench, lora: string): Promise<EngineMerge> {
  const program = settings.compare?.path ?? '';
  const edge = model.info.sizeMultiple;
  const asked = { load: files, threads: settings.runtime.threads ?? 0 };
  const small = { ...request, width: edge, height: edge, cfgScale: 1 };
  const about = await sdCliAbout(program, signal);
  return {
    about,
    async merge() {
      const { merge, device } = await runSdCliLora(program, asked, small, lora, { signal });
      about.device = device;
      return merge;
    },
  };
}
