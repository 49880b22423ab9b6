import type { JobScope, NativeSize, NativeUpscaleSize } from '../../native/index.js';
import type { PassModels, UpscalerModel } from '../models.js';
import type { Pass } from '../plan.js';
import { modelRuns } from './upscalePixels.js';

/** Memory of the stage of a pass in which an upscaler model enlarges a picture. */
export interface EnlargeStage {
  /** Where the model works. */
  readonly device: string;
  /** Buffers of the largest graph; freed when the run ends. */
  readonly graph: number;
  /** Work buffer of the CPU backend, which stays. */
  readonly work: number;
  /** Pixels around the graph. */
  readonly hostBytes: number;
  /** The same with tiles of another size, or of a picture with edges `share` times as long. */
  readonly with: (change: EnlargeChange) => Promise<EnlargeStage>;
  /** Pixels; of the tiles, and of the largest picture that is enlarged. */
  readonly tileSize: number;
  readonly edge: number;
}

export interface EnlargeChange {
  readonly tileSize?: number;
  readonly share?: number;
}

const [float, channels] = [4, 3];

/**
 * Bytes of the pixels of one run: the picture in JavaScript and in the native job, its floats, those of the enlarged
 * picture and its bytes; with tiles also the floats of one tile on both sides.
 */
export function enlargeBytes({ width, height, tileSize }: NativeUpscaleSize, scale: number): number {
  const pixels = width * height;
  const tiled = width > tileSize || height > tileSize;
  const tile = tiled ? Math.min(width, tileSize) * Math.min(height, tileSize) : 0;
  const floats = (pixels + tile) * (1 + scale ** 2) * float;
  return channels * (2 * pixels + pixels * scale ** 2 + floats);
}

/** Tile sizes to try when a larger one does not fit. */
export function smallerTiles(tileSize: number, edge: number): number[] {
  return [512, 256, 128, 64, 32, 16].filter((size) => size < Math.min(tileSize, edge));
}

/** What enlarging the results that a pass begins with takes; null where no model does that. */
export async function enlargeStage(
  { start }: Pick<Pass, 'start'>,
  { upscaler: model }: PassModels,
  scope: JobScope,
): Promise<EnlargeStage | null> {
  if (model === undefined || start?.upscaler.kind !== 'model') return null;
  const { upscaler, size, from } = start;
  const runs = modelRuns(from, size, model.scale);
  return measureRuns(model, runs, { tileSize: upscaler.tileSize, share: 1 }, scope);
}

async function measureRuns(
  model: UpscalerModel,
  runs: readonly NativeSize[],
  { tileSize, share }: Required<EnlargeChange>,
  scope: JobScope,
): Promise<EnlargeStage> {
  const parts: { readonly graph: number; readonly work: number; readonly hostBytes: number }[] = [];
  const scaled = (edge: number): number => Math.max(1, Math.round(edge * share));
  for (const { width, height } of runs) {
    const size = { width: scaled(width), height: scaled(height), tileSize };
    parts.push({ ...(await model.measure(size, scope)), hostBytes: enlargeBytes(size, model.scale) });
  }
  const total = (part: (typeof parts)[number]): number => part.graph + part.hostBytes;
  const [most] = [...parts].sort((a, b) => total(b) - total(a));
  return {
    device: model.device,
    graph: most?.graph ?? 0,
    hostBytes: most?.hostBytes ?? 0,
    work: Math.max(0, ...parts.map(({ work }) => work)),
    tileSize,
    edge: Math.max(0, ...runs.map(({ width, height }) => scaled(Math.max(width, height)))),
    with: (change) => measureRuns(model, runs, { tileSize, share, ...change }, scope),
  };
}
