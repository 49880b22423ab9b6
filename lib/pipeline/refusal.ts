import type { DiffusionError } from '../errors/index.js';
import { formatBytes, outOfMemory, type Shortage, sumBytes, whereOf } from '../memory/index.js';
import type { JobScope } from '../native/index.js';
import { type Admitter, measureNeed } from './admission.js';
import { emptyShape, type JobShape, type Tilings, untiled } from './measure.js';
import type { JobNeed } from './needs.js';
import { smallerTiles } from './hires/enlargement.js';
import { tileChoices } from './tiles.js';

const parts = {
  diffusion: 'diffusion model',
  previews: 'previews',
  textEncoder: 'text encoder',
  vaeEncode: 'VAE encode',
  vaeDecode: 'VAE decode',
  upscaler: 'upscaler model',
  images: 'pictures',
} as const;

/** What a refusal is about. */
export interface Refused {
  /** As a sentence begins. Default: the job. */
  readonly what?: string;
  /** Bytes that could be freed for it. Default: none. */
  readonly relief?: number;
}

/** `ERR_OUT_OF_MEMORY` of a job: what it needs, by part, what there is, and what would help here. */
export async function refusal(
  admitter: Admitter,
  scope: JobScope,
  shape: JobShape,
  tilings: Tilings,
  need: JobNeed,
  shortage: Shortage,
  { what = 'The job', relief = 0 }: Refused = {},
): Promise<DiffusionError> {
  const list = Object.entries(parts)
    .map(([key, name]) => ({ name, bytes: need[key as keyof typeof parts] }))
    .filter(({ bytes }) => bytes > 0)
    .sort((a, b) => b.bytes - a.bytes)
    .map(({ name, bytes }) => `${name} ${formatBytes(bytes)}`);
  const where = whereOf(admitter.memory.ledger, shortage);
  const compiled = sumBytes(need.compiles);
  const ways = await waysOut(admitter, scope, shape, tilings, relief);
  const apart = compiled > 0 ? await stageByStage(admitter, scope, shape, tilings, relief) : undefined;
  if (apart !== undefined)
    ways.push(
      'Call encodePrompt, sample and decodeLatent one after the other: each lets go of what the others compiled ' +
        `(the largest needs ${formatBytes(apart)})`,
    );
  if (compiled > 0)
    ways.push(`Make the runtime with backend: 'cpu', which compiles nothing: ${formatBytes(compiled)} less`);
  const hint = ways.length > 0 ? `${ways.join('; or ')}.` : lastWay(shortage);
  const message = `${what} needs ${formatBytes(shortage.needed)} of memory, ${where}: ${list.join(', ')}. ${hint}`;
  return outOfMemory(message, shortage, hint);
}

function lastWay({ byLimit }: Shortage): string {
  return byLimit
    ? 'Raise memoryLimit, dispose of models that are not used, or load the weights with a quantised weightType.'
    : 'Dispose of models that are not used, load the weights with a quantised weightType, or free memory.';
}

/**
 * The most that one of the job's stages takes as an operation of its own, which keeps nothing for the others; undefined
 * where that is too much as well, or nobody samples.
 */
async function stageByStage(
  admitter: Admitter,
  scope: JobScope,
  shape: JobShape,
  tilings: Tilings,
  relief: number,
): Promise<number | undefined> {
  if (shape.prompts.length === 0) return undefined;
  const { ledger, cache } = admitter.memory;
  const { prompts, encode, decode, pictures } = shape;
  const alone = emptyShape(shape);
  const stages = [
    { ...alone, prompts },
    { ...alone, encode },
    { ...shape, conditioned: true, encode: [], decode: false, pictures: 0, enlarge: null },
    { ...alone, decode, pictures },
  ];
  let most = 0;
  for (const stage of stages) {
    const { asks, peak, byDevice } = await measureNeed(admitter, scope, stage, tilings);
    const beside = cache.graphs.beside(new Set(asks.map(({ signature }) => signature)));
    if (ledger.shortage(byDevice, Math.max(relief, beside)) !== undefined) return undefined;
    most = Math.max(most, peak);
  }
  return most;
}

/** Changes of the request that were measured and make the job fit. */
async function waysOut(
  admitter: Admitter,
  scope: JobScope,
  shape: JobShape,
  tilings: Tilings,
  relief: number,
): Promise<string[]> {
  const { facts, memory } = admitter;
  const fits = async (changed: JobShape, how: Tilings): Promise<number | undefined> => {
    const need = await measureNeed(admitter, scope, changed, how);
    return memory.ledger.shortage(need.byDevice, relief) === undefined ? need.peak : undefined;
  };
  const ways: string[] = [];
  const smallest = tileChoices(shape.width, shape.height, facts.scaleFactor).at(-1);
  const tiles = { encode: smallest ?? untiled, decode: smallest ?? untiled };
  if (smallest !== undefined && !(tilings.decode.enabled || tilings.encode.enabled)) {
    const bytes = await fits(shape, tiles);
    if (bytes !== undefined)
      ways.push(`Let the VAE work in tiles: tiling: 'auto' (with the smallest ${formatBytes(bytes)})`);
  }
  if (shape.preview === 'vae' || shape.preview === 'tae') {
    const bytes = await fits({ ...shape, preview: 'proj' }, tilings);
    if (bytes !== undefined) ways.push(`Show previews with the projection: ${formatBytes(bytes)}`);
  }
  const { enlarge } = shape;
  for (const tileSize of enlarge === null ? [] : smallerTiles(enlarge.tileSize, enlarge.edge)) {
    const bytes = await fits({ ...shape, enlarge: (await enlarge?.with({ tileSize })) ?? null }, tilings);
    if (bytes === undefined) continue;
    ways.push(`Give the upscaler model a smaller tileSize: ${String(tileSize)} needs ${formatBytes(bytes)}`);
    break;
  }
  for (const share of [0.75, 0.5, 0.25]) {
    const scale = (edge: number): number =>
      Math.max(1, Math.floor((edge * share) / facts.sizeMultiple)) * facts.sizeMultiple;
    const [width, height] = [scale(shape.width), scale(shape.height)];
    if (width >= shape.width && height >= shape.height) continue;
    const encode = shape.encode.map(() => ({ width, height }));
    const inputBytes = Math.round(shape.inputBytes * share * share);
    const smaller = (await enlarge?.with({ share })) ?? null;
    const bytes = await fits({ ...shape, width, height, encode, inputBytes, enlarge: smaller }, tilings);
    if (bytes === undefined) continue;
    ways.push(`Make the picture smaller: ${String(width)}x${String(height)} needs ${formatBytes(bytes)}`);
    break;
  }
  return ways;
}
