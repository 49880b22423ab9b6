import { host } from '../memory/index.js';
import { JobScope } from '../native/index.js';
import { chooseTilings, measureNeed } from './admission.js';
import { arrangePasses } from './arrange.js';
import { draftRequest } from './draft.js';
import { reliefOf } from './foresee.js';
import type { Tilings } from './measure.js';
import { checkRequest, type PipelineModel } from './modes.js';
import type { JobNeed } from './needs.js';
import { groupParts } from './passParts.js';
import type { PassMode } from './request.js';
import { bytesOf } from './residency.js';

/** Memory of a request, bytes. */
export interface MemoryEstimate {
  /** Weights that are in memory in the largest pass: of its models, and of the upscaler model that is there by then. */
  readonly weights: number;
  /** Each stage with its graphs, the CPU's work buffer and the pixels and latents it holds; one stage runs at a time. */
  readonly textEncoder: number;
  readonly diffusion: number;
  readonly vaeEncode: number;
  readonly vaeDecode: number;
  /** Of the upscaler model of a hires pass; 0 without. */
  readonly upscaler: number;
  /** What previews add to `diffusion`. */
  readonly previews: number;
  /** Pictures given and made, which are there all the time. */
  readonly images: number;
  /** Most that the job takes at one time beside the weights. */
  readonly job: number;
  /** `weights` + `job`. */
  readonly peak: number;
  /** What the job can have now: of the machine (its control group counts), and of `memoryLimit`. */
  readonly available: number;
  /** `memoryLimit` of the runtime; null: none. */
  readonly limit: number | null;
  /** False: the job would be refused with `ERR_OUT_OF_MEMORY`. */
  readonly fits: boolean;
  /** Edge of the VAE's tiles in latent cells that the numbers hold for; null: no tiles. */
  readonly tileSize: number | null;
}

/**
 * What a request would take, the largest of its passes. The mode is that of its pictures: with `mask` inpaint, with `image` img2img.
 * Runs beside the queue, after the native operation that runs now.
 */
export async function estimateRequest(model: PipelineModel, request: unknown): Promise<MemoryEstimate> {
  model.queue.assertOpen();
  const { facts, memory } = model;
  const options = checkRequest(modeOf(request), request, facts);
  const { signal } = options;
  signal?.throwIfAborted();
  const mode = modeOf(request);
  const drafted = await draftRequest(model, mode, options, options.onPreview !== undefined, signal);
  const { tiling, models } = drafted;
  const scope = new JobScope(signal ?? new AbortController().signal);
  const needs: PassNeed[] = [];
  for (const group of await arrangePasses(drafted, scope)) {
    const parts = (await groupParts(drafted, group, scope)).flat();
    const relief = await reliefOf({ weights: group.weights, first: models.first, parts }, scope, tiling);
    const weights = bytesOf(group.weights);
    for (const { admitter, shape } of parts) {
      const tilings = await chooseTilings(admitter, scope, shape, tiling, relief);
      const need = await measureNeed(admitter, scope, shape, tilings);
      needs.push({ tilings, need, weights, fits: memory.ledger.shortage(need.byDevice, relief) === undefined });
    }
  }
  const [most] = needs.sort((a, b) => b.weights + b.need.peak - a.weights - a.need.peak);
  if (most === undefined) throw new Error('A plan without passes');
  const { need, tilings, weights } = most;
  const used = [tilings.decode, tilings.encode].find(({ enabled }) => enabled);
  const { textEncoder, diffusion, vaeEncode, vaeDecode, upscaler, previews, images, peak } = need;
  return Object.freeze({
    weights,
    textEncoder,
    diffusion,
    vaeEncode,
    vaeDecode,
    upscaler,
    previews,
    images,
    job: peak,
    peak: weights + peak,
    available: memory.ledger.available(host),
    limit: memory.ledger.limit ?? null,
    fits: needs.every(({ fits }) => fits),
    tileSize: used === undefined ? null : used.tileSizeX > 0 ? used.tileSizeX : 32,
  });
}

interface PassNeed {
  readonly need: JobNeed;
  readonly tilings: Tilings;
  readonly fits: boolean;
  /** Bytes in memory beside it. */
  readonly weights: number;
}

/** With `mask` inpaint, with `image` img2img. */
export function modeOf(request: unknown): PassMode {
  const has = (key: string): boolean =>
    typeof request === 'object' && request !== null && (request as Record<string, unknown>)[key] !== undefined;
  return has('mask') ? 'inpaint' : has('image') ? 'img2img' : 'txt2img';
}
