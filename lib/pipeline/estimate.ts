import { host, sumBytes } from '../memory/index.js';
import { JobScope } from '../native/index.js';
import { chooseTilings, measureNeed } from './admission.js';
import { draftRequest } from './draft.js';
import type { Tilings } from './measure.js';
import { checkRequest, type PipelineModel } from './modes.js';
import type { JobNeed } from './needs.js';
import { passParts } from './passParts.js';
import type { PassMode } from './request.js';

/** Memory of a request, bytes. */
export interface MemoryEstimate {
  /** Weights of the loaded model. */
  readonly weights: number;
  /** Each stage with its graphs, the CPU's work buffer and the pixels and latents it holds; one stage runs at a time. */
  readonly textEncoder: number;
  readonly diffusion: number;
  readonly vaeEncode: number;
  readonly vaeDecode: number;
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
  const { plan, tiling } = drafted;
  const scope = new JobScope(signal ?? new AbortController().signal);
  const needs: { readonly need: JobNeed; readonly tilings: Tilings }[] = [];
  for (const [index, pass] of plan.passes.entries()) {
    // A second model is measured when it is loaded.
    if (Object.values(pass.parts).some((role) => role !== 'first')) continue;
    for (const { shape } of passParts(drafted, index)) {
      const tilings = await chooseTilings(model, scope, shape, tiling);
      needs.push({ tilings, need: await measureNeed(model, scope, shape, tilings) });
    }
  }
  const [most] = needs.sort((a, b) => b.need.peak - a.need.peak);
  if (most === undefined) throw new Error('A plan without passes');
  const { need, tilings } = most;
  const weights = sumBytes(facts.components);
  const used = [tilings.decode, tilings.encode].find(({ enabled }) => enabled);
  const { textEncoder, diffusion, vaeEncode, vaeDecode, previews, images, peak } = need;
  return Object.freeze({
    weights,
    textEncoder,
    diffusion,
    vaeEncode,
    vaeDecode,
    previews,
    images,
    job: peak,
    peak: weights + peak,
    available: memory.ledger.available(host),
    limit: memory.ledger.limit ?? null,
    fits: memory.ledger.shortage(need.byDevice, memory.ledger.spare) === undefined,
    tileSize: used === undefined ? null : used.tileSizeX > 0 ? used.tileSizeX : 32,
  });
}

/** With `mask` inpaint, with `image` img2img. */
export function modeOf(request: unknown): PassMode {
  const has = (key: string): boolean =>
    typeof request === 'object' && request !== null && (request as Record<string, unknown>)[key] !== undefined;
  return has('mask') ? 'inpaint' : has('image') ? 'img2img' : 'txt2img';
}
