import { formatBytes, type MemoryLedger, type Reservation, type Shortage, sumBytes } from '../memory/index.js';
import type { JobScope, NativeModel, NativeTiling } from '../native/index.js';
import type { HiresWarning, PromptWarning } from './events.js';
import type { WeightsState } from '../weights/index.js';
import type { ModelFacts } from './facts.js';
import { type JobShape, type MeasureCache, type Tilings, untiled } from './measure.js';
import { jobNeed, type JobNeed } from './needs.js';
import type { Presence } from './prompts.js';
import { largestThatFits, tileChoices } from './tiles.js';

/** Memory of one model: the runtime's ledger, and what was measured. */
export interface ModelMemory {
  readonly ledger: MemoryLedger;
  readonly cache: MeasureCache;
}

/** The VAE works otherwise than asked for. */
export interface TiledWarning {
  readonly type: 'warning';
  /** `tiled`: the VAE works tile by tile, since the whole picture would not fit. */
  readonly code: 'tiled';
  readonly message: string;
}

/** Something about a result that its caller may want to know. */
export type JobWarning = TiledWarning | PromptWarning | HiresWarning;

export interface Admitter {
  readonly native: NativeModel;
  readonly facts: ModelFacts;
  readonly memory: ModelMemory;
  readonly presence?: Pick<Presence, 'offer'> | undefined;
  /** LoRAs at run time are a part of the graphs, which then all stay. Default: there are none. */
  readonly weights?: Pick<WeightsState, 'hadRuntime'> | undefined;
}

export type TilingChoice = NativeTiling | 'auto';

/** Sizes of a shape with a tiling. */
export async function measureNeed(
  { native, facts, memory }: Admitter,
  scope: JobScope,
  shape: JobShape,
  tilings: Tilings,
): Promise<JobNeed> {
  const { cache } = memory;
  const measured = await cache.measure(native, scope, shape, tilings);
  return jobNeed(shape, tilings, measured, facts, cache.graphs.signatures);
}

/**
 * Chooses the tiling: the whole picture where that fits, else the largest tiles that do. Decoding and encoding are
 * different stages of a job, so each is chosen for itself. A model that nobody needs leaves before tiles are taken.
 * @param relief bytes that can be freed for the job; negative: that others will have taken by then.
 */
export async function chooseTilings(
  admitter: Admitter,
  scope: JobScope,
  shape: JobShape,
  choice: TilingChoice,
  relief: number,
): Promise<Tilings> {
  if (choice !== 'auto') return { encode: choice, decode: choice };
  const { ledger } = admitter.memory;
  const fits = async (part: JobShape, tilings: Tilings, bytes = relief): Promise<boolean> =>
    ledger.shortage((await measureNeed(admitter, scope, part, tilings)).byDevice, bytes) === undefined;
  const whole: Tilings = { encode: untiled, decode: untiled };
  if (await fits(shape, whole)) return whole;
  const { scaleFactor } = admitter.facts;
  const plain: JobShape = { ...shape, prompts: [], encode: [], decode: false, enlarge: null };
  const search = async (
    stage: JobShape,
    sizes: readonly { readonly width: number; readonly height: number }[],
    before?: JobShape,
  ) => {
    if (sizes.length === 0) return untiled;
    // What the stages before have compiled is still there.
    const there = before === undefined ? 0 : sumBytes((await measureNeed(admitter, scope, before, whole)).compiles);
    const has = (tiling: NativeTiling) => fits(stage, { encode: tiling, decode: tiling }, relief - there);
    if (await has(untiled)) return untiled;
    const width = Math.max(...sizes.map((size) => size.width));
    const height = Math.max(...sizes.map((size) => size.height));
    const choices = tileChoices(width, height, scaleFactor);
    return (await largestThatFits(choices, has)) ?? choices.at(-1) ?? untiled;
  };
  const looks = shape.preview === 'vae' || shape.preview === 'tae';
  const decoding = { ...plain, decode: shape.decode, ...(looks ? { prompts: shape.prompts } : {}) };
  const sampling = { ...shape, encode: [], decode: false, enlarge: null };
  return {
    encode: await search({ ...plain, encode: shape.encode }, shape.encode),
    decode: await search(decoding, shape.decode || looks ? [shape] : [], looks ? undefined : sampling),
  };
}

export function isReservation(outcome: Reservation | Shortage): outcome is Reservation {
  return 'release' in outcome;
}

export function tiledWarning({ encode, decode }: Tilings, need: JobNeed): TiledWarning {
  const verbs = [encode.enabled ? 'encodes' : '', decode.enabled ? 'decodes' : ''].filter((verb) => verb !== '');
  const { tileSizeX } = decode.enabled ? decode : encode;
  const message =
    `The VAE ${verbs.join(' and ')} in tiles of ${String(tileSizeX)} latent cells, ` +
    `since the whole picture would not fit into memory; the job now needs ${formatBytes(need.peak)}.`;
  return { type: 'warning', code: 'tiled', message };
}
