import { fileURLToPath } from 'node:url';
import { DiffusionError, invalidOption } from '../errors/index.js';
import { threadLimit } from '../memory/index.js';
import type { LoadModelOptions, RuntimeOptions } from '../sdk/types.js';
import { freshSide, residentSide } from './own.js';
import { comparePictures } from './pictures.js';
import { pythonSide } from './peers/python.js';
import { sdCliSide } from './peers/sdCli.js';
import { interleave } from './statistics.js';
import type { BenchHost, BenchModel, BenchRequest, BenchRuntime, BenchSettings, Side, SideRun, Size } from './types.js';

/** A benchmark that runs: what was chosen, and the model as far as it is known. */
export interface Bench {
  readonly settings: BenchSettings;
  readonly host: BenchHost;
  readonly signal: AbortSignal;
  /** Options of the load with all files named, for other processes. */
  readonly files: LoadModelOptions;
  readonly runtime: BenchRuntime;
  /** In memory; `dispose` frees it for measures that need other processes only. Its facts stay. */
  readonly model: BenchModel;
  /** The request of every side, but for its size. */
  readonly request: Omit<BenchRequest, 'width' | 'height'>;
  readonly sizes: readonly Size[];
  readonly repeat: number;
  readonly warmup: number;
  /** Says how far it is. */
  readonly say: (text: string) => void;
}

export function sizeName({ width, height }: Size): string {
  return `${String(width)}x${String(height)}`;
}

/** Whose picture is drawn how: with the model in memory, or in a process for every picture. */
export type SideKind = 'resident' | 'fresh';

/**
 * This package, and the peer when one is compared. sd-cli cannot keep a model, so we do not either when it is the peer.
 * @returns our side first.
 */
export async function openSides(bench: Bench, kind: SideKind, watchMemory = false): Promise<readonly Side[]> {
  const { settings, host, signal, files, model } = bench;
  const { compare, runtime } = settings;
  const fresh = kind === 'fresh' || compare?.peer === 'sd-cli';
  const ours = fresh ? await freshSide(host, { runtime, load: files }, signal) : residentSide(model, signal);
  if (compare === undefined) return [ours];
  try {
    const threads = threadsOf(runtime);
    if (compare.peer === 'sd-cli')
      return [ours, await sdCliSide(compare.path, { load: files, threads }, signal, watchMemory)];
    return [ours, await pythonSide(compare.peer, compare.path, pythonModel(files, threads), signal, fresh)];
  } catch (error) {
    await ours.close();
    throw error;
  }
}

/** Threads of both sides; 0: one per physical core, where nothing limits the process. */
export const threadsOf = ({ threads = 0 }: RuntimeOptions): number => threads || threadLimit();

/** Options of a load that the Python peers understand. */
const pythonOptions = new Set(['checkpoint', 'taesd', 'rng', 'conditioningCacheBytes']);

/** @throws DiffusionError `ERR_INVALID_OPTION` for what the Python peers cannot be asked for. */
export function pythonModel(load: LoadModelOptions, threads: number) {
  const other = Object.entries(load).find(([name, value]) => value !== undefined && !pythonOptions.has(name));
  if (other !== undefined) {
    throw invalidOption(other[0], other[1], 'nothing with a Python peer, which reads checkpoint and taesd only');
  }
  if (load.checkpoint === undefined) throw invalidOption('checkpoint', undefined, 'a checkpoint');
  const file = (given: string | URL): string => (given instanceof URL ? fileURLToPath(given) : given);
  return {
    checkpoint: file(load.checkpoint),
    ...(load.taesd === undefined ? {} : { taesd: file(load.taesd) }),
    threads,
  };
}

/** Runs of all sides for a request: some that do not count, then `repeat` turns in which the sides alternate. */
export async function alternate(bench: Bench, sides: readonly Side[], request: BenchRequest): Promise<SideRun[][]> {
  const { repeat, warmup, signal, say } = bench;
  const where = sizeName(request);
  const draw = sides.map((side) => async () => {
    signal.throwIfAborted();
    return side.picture(request);
  });
  await interleave(warmup, draw, (turn) => {
    say(`${where}: warm-up ${String(turn)} of ${String(warmup)}`);
  });
  return interleave(repeat, draw, (turn) => {
    say(`${where}: ${String(turn)} of ${String(repeat)}`);
  });
}

/** Whether the last pictures of the peer are ours. */
export function pictureNotes(where: string, sides: readonly Side[], runs: readonly (readonly SideRun[])[]): string[] {
  const ours = runs[0]?.at(-1)?.pixels;
  return sides.slice(1).flatMap(({ name }, index) => {
    const theirs = runs[index + 1]?.at(-1)?.pixels;
    return ours === undefined || theirs === undefined ? [] : [comparePictures(where, name, ours, theirs)];
  });
}

/** One number of each run; what a run has not is a mistake of ours. */
export function pick(runs: readonly SideRun[] | undefined, key: Exclude<keyof SideRun, 'pixels'>): number[] {
  return (runs ?? []).map((run) => {
    const value = run[key];
    if (value === undefined) throw new DiffusionError('ERR_ENGINE', `A run has no figure "${key}".`);
    return value;
  });
}

/** Works with sides and closes them, whatever happens. */
export async function withSides<T>(
  open: Promise<readonly Side[]>,
  work: (sides: readonly Side[]) => Promise<T>,
): Promise<T> {
  const sides = await open;
  try {
    return await work(sides);
  } finally {
    await Promise.allSettled(sides.map((side) => side.close()));
  }
}
