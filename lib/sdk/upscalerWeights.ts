import { basename, extname } from 'node:path';
import { type MemoryLedger, totalOf } from '../memory/index.js';
import { checkUpscalerFile, type LoadedWeights } from '../model/index.js';
import {
  type JobScope,
  type NativeAddon,
  type NativeEvent,
  type NativeGraphMemory,
  type NativeUpscaler,
  type NativeUpscalerMemory,
  type NativeUpscalerOptions,
  type NativeUpscaleSize,
  runJob,
} from '../native/index.js';
import { loadShortage, upscalerLoadNeed } from './upscalerMemory.js';

export interface UpscalerContext {
  readonly addon: Pick<NativeAddon, 'loadUpscaler' | 'measureUpscaler'>;
  readonly ledger: MemoryLedger;
}

/** How an upscaler is loaded; what its jobs may take is decided then. */
export type UpscalerRequest = Omit<NativeUpscalerOptions, 'memoryBudget'>;

export type LoadedUpscaler = LoadedWeights<NativeUpscaler>;

/** Name of an upscaler by its file. */
export function upscalerName(file: string): string {
  return basename(file, extname(file));
}

/** What loading takes, from the header of a file that was checked. */
export async function measureUpscaler(
  { addon }: UpscalerContext,
  request: UpscalerRequest,
  field: string,
  signal: AbortSignal,
): Promise<NativeUpscalerMemory> {
  await checkUpscalerFile(request.file, field, signal);
  return runJob(() => addon.measureUpscaler({ load: { ...request, memoryBudget: 0 }, sizes: [] }), signal).promise;
}

/**
 * Reads the weights, their memory taken first.
 * @throws DiffusionError `ERR_OUT_OF_MEMORY` before anything is allocated; what the addon says of the file; the signal's
 *   reason.
 */
export async function loadUpscalerWeights(
  { addon, ledger }: UpscalerContext,
  request: UpscalerRequest,
  measured: NativeUpscalerMemory,
  onEvent: (event: NativeEvent) => void,
  signal: AbortSignal,
): Promise<LoadedUpscaler> {
  const need = upscalerLoadNeed(measured, request);
  const place = await ledger.reserve(need, signal);
  if (!('release' in place)) throw loadShortage(ledger, need, place);
  const source = { model: upscalerName(request.file), kind: 'load' };
  const wanted = { ...request, memoryBudget: totalOf(need) };
  const { promise, settled } = runJob(() => addon.loadUpscaler(wanted, onEvent), signal, freeUpscaler, source);
  try {
    const native = await promise;
    return { native, forget: place.settle(native.bytes) };
  } catch (error) {
    void settled.then(place.release);
    throw error;
  }
}

/** An upscaler that nobody waits for any more. Its failure to be freed has nobody to be told to. */
function freeUpscaler(native: NativeUpscaler): void {
  native.dispose().catch(() => undefined);
}

/** Graph sizes of one upscaler; a size is measured once. */
export class UpscaleMeasures {
  readonly #known = new Map<string, NativeGraphMemory>();

  async of(
    { width, height, tileSize }: NativeUpscaleSize,
    measure: (size: NativeUpscaleSize) => Promise<NativeGraphMemory>,
  ): Promise<NativeGraphMemory> {
    // One tile decides, however many there are.
    const whole = width <= tileSize && height <= tileSize;
    const piece = whole ? { width, height } : { width: Math.min(width, tileSize), height: Math.min(height, tileSize) };
    const key = `${String(piece.width)}x${String(piece.height)}`;
    const known = this.#known.get(key) ?? (await measure({ ...piece, tileSize: Math.max(tileSize, 16) }));
    this.#known.set(key, known);
    return known;
  }
}

/** Measures jobs of an upscaler that is loaded. */
export function measureLoaded(
  measures: UpscaleMeasures,
  native: NativeUpscaler,
  size: NativeUpscaleSize,
  scope: JobScope,
): Promise<NativeGraphMemory> {
  return measures.of(size, (piece) => scope.run(() => native.measure(piece)));
}
