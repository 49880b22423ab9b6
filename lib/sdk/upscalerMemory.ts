import type { DiffusionError } from '../errors/index.js';
import {
  formatBytes,
  host,
  type MemoryLedger,
  type Need,
  outOfMemory,
  type Shortage,
  totalOf,
  whereOf,
} from '../memory/index.js';
import type {
  JobScope,
  NativeGraphMemory,
  NativeSize,
  NativeUpscalerMemory,
  NativeUpscalerOptions,
  NativeUpscaleSize,
} from '../native/index.js';
import { enlargeBytes, smallerTiles } from '../pipeline/index.js';

/** What loading takes, by device. Weights that stay on the host are brought to the device by each job. */
export function upscalerLoadNeed(
  { bytes, device, readBuffers }: Pick<NativeUpscalerMemory, 'bytes' | 'device' | 'readBuffers'>,
  { offloadToCpu }: Pick<NativeUpscalerOptions, 'offloadToCpu'>,
): Need {
  const need = new Map<string, number>([[host, readBuffers]]);
  const where = offloadToCpu ? host : device;
  need.set(where, (need.get(where) ?? 0) + bytes);
  return need;
}

/** Memory of one enlargement, bytes. */
export interface UpscaleNeed {
  /** Buffers of the graphs and the work buffer of the CPU. */
  readonly graphs: number;
  /** The picture, the enlarged one, and both as floats. */
  readonly pixels: number;
  readonly byDevice: Need;
}

/** Descriptions of graphs and JavaScript's garbage; measured. */
const overhead = 2 * 2 ** 20;

/** @param offloaded bytes of weights that the job brings to the device. */
export function upscaleNeed(
  size: NativeUpscaleSize,
  scale: number,
  { graph, work }: NativeGraphMemory,
  device: string,
  offloaded = 0,
): UpscaleNeed {
  const pixels = enlargeBytes(size, scale);
  const byDevice = new Map<string, number>([[host, pixels + work + overhead]]);
  byDevice.set(device, (byDevice.get(device) ?? 0) + graph + (device === host ? 0 : offloaded));
  return { graphs: graph + work, pixels, byDevice };
}

export function loadShortage(ledger: MemoryLedger, need: Need, shortage: Shortage): DiffusionError {
  const last = shortage.byLimit ? 'Raise memoryLimit or dispose of other models.' : 'Dispose of other models.';
  const message = `Loading the upscaler needs ${formatBytes(totalOf(need))} of memory, ${whereOf(ledger, shortage)}. ${last}`;
  return outOfMemory(message, shortage, last);
}

export interface UpscaleJob {
  readonly size: NativeUpscaleSize;
  readonly scale: number;
  /** Of the same upscaler with another size or other tiles. */
  readonly measure: (size: NativeUpscaleSize, scope: JobScope) => Promise<UpscaleNeed>;
}

/** `ERR_OUT_OF_MEMORY` of an enlargement: what it needs, what there is, and what was measured to help. */
export async function upscaleShortage(
  ledger: MemoryLedger,
  { size, scale, measure }: UpscaleJob,
  need: UpscaleNeed,
  shortage: Shortage,
  scope: JobScope,
): Promise<DiffusionError> {
  const fits = async (changed: NativeUpscaleSize): Promise<number | undefined> => {
    const { byDevice } = await measure(changed, scope);
    return ledger.shortage(byDevice, ledger.spare) === undefined ? totalOf(byDevice) : undefined;
  };
  const ways: string[] = [];
  for (const tileSize of smallerTiles(size.tileSize, Math.max(size.width, size.height))) {
    const bytes = await fits({ ...size, tileSize });
    if (bytes === undefined) continue;
    ways.push(`Load the upscaler with tileSize: ${String(tileSize)}, which needs ${formatBytes(bytes)}`);
    break;
  }
  for (const share of [0.75, 0.5, 0.25]) {
    const smaller = scaled(size, share);
    const bytes = await fits({ ...size, ...smaller });
    if (bytes === undefined) continue;
    ways.push(`Give a smaller picture: ${edges(smaller)} needs ${formatBytes(bytes)}`);
    break;
  }
  const last = shortage.byLimit ? 'Raise memoryLimit or dispose of models' : 'Dispose of models or free memory';
  const hint = `${ways.length > 0 ? ways.join('; or ') : last}.`;
  const what = `Enlarging ${edges(size)} pixels ${String(scale)} times`;
  const message =
    `${what} needs ${formatBytes(shortage.needed)} of memory, ${whereOf(ledger, shortage)}: ` +
    `graphs ${formatBytes(need.graphs)}, pixels ${formatBytes(need.pixels)}. ${hint}`;
  return outOfMemory(message, shortage, hint);
}

function scaled({ width, height }: NativeSize, share: number): NativeSize {
  const edge = (given: number): number => Math.max(1, Math.round(given * share));
  return { width: edge(width), height: edge(height) };
}

function edges({ width, height }: NativeSize): string {
  return `${String(width)}x${String(height)}`;
}
