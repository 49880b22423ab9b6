import { isDeepStrictEqual } from 'node:util';
import { invalidOption } from '../../errors/index.js';
import { GeneratedImage, type ImageInput, infotextToRequest, readImage, readInfotext } from '../../image/index.js';
import { checker, checkOptions, optional, arrayOf, func } from '../../options/index.js';
import { type LoraTag, parseLoraTags } from '../../weights/index.js';
import { type Drafted, draftHires, firstPass, type GivenStart, preparedSet } from '../draft.js';
import { checkSpace } from '../encoding.js';
import type { ModelEvent, PreviewEvent } from '../events.js';
import type { ModelFacts } from '../facts.js';
import { enqueueDraft, enqueueRequest } from '../job.js';
import { Latent } from '../latent.js';
import { type CheckedRequest, checkRequest, type PipelineModel } from '../modes.js';
import type { PassResult } from '../pass.js';
import { makePlan, type Pass } from '../plan.js';
import { resolvePreview } from '../preview.js';
import type { FirstPassResult, GenerateResult, HiresRequest } from '../request.js';
import { resolveTiling } from '../sampling.js';
import { imageInput, jobSpec, previewSpec, promptSpec, tilingSpec } from '../spec.js';
import type { CheckedHires } from './resolve.js';
import { hiresFields } from './spec.js';

/** A picture of a first pass with the latent it was decoded from: what a second pass can begin with. Immutable. */
export class FirstPassImage {
  readonly image: GeneratedImage;
  readonly latent: Latent;

  /**
   * Not for callers; use `model.firstPass`.
   * @internal
   */
  constructor(image: GeneratedImage, latent: Latent) {
    this.image = image;
    this.latent = latent;
    Object.freeze(this);
  }
}

/** Runs a request of txt2img and keeps the latents. */
export async function runFirstPass(model: PipelineModel, request: unknown): Promise<FirstPassResult> {
  model.queue.assertOpen();
  const options = checkRequest('txt2img', request, model.facts);
  if (options.hires !== undefined) {
    const hint = 'Give the options of the second pass to model.hires.';
    throw invalidOption('hires', options.hires, 'nothing: only the first pass is run', hint);
  }
  const latents: Latent[] = [];
  const { facts } = model;
  const keep = (results: readonly PassResult[]): void => {
    for (const { latent } of results) if (latent !== null) latents.push(Latent.adopt(latent, facts.space));
  };
  const listens = options.onPreview !== undefined;
  const done = await enqueueRequest(model, 'txt2img', options, options, options.signal, listens, keep);
  const images = done.images.flatMap((image, index) => {
    const latent = latents[index];
    return latent === undefined ? [] : [new FirstPassImage(image, latent)];
  });
  return { images, timings: done.timings, warnings: done.warnings };
}

const firstImage = checker('a picture of model.firstPass, or an image', (value, field) =>
  value instanceof FirstPassImage ? value : imageInput().check(value, field),
);

const refineSpec = {
  ...hiresFields,
  preview: optional(previewSpec),
  tiling: optional(tilingSpec),
  onPreview: optional(func<(event: PreviewEvent) => void>()),
  onModel: optional(func<(event: ModelEvent) => void>()),
  ...promptSpec,
  ...jobSpec,
} as const;

/** Runs the second pass over pictures that were made before. */
export async function runHires(model: PipelineModel, images: unknown, given: HiresRequest): Promise<GenerateResult> {
  model.queue.assertOpen();
  const list = arrayOf(firstImage, { min: 1, max: 1000 }).check(images, 'images');
  const options = checkOptions('hires', given, refineSpec);
  options.signal?.throwIfAborted();
  const ready = draftAgain(model, list, options);
  return enqueueDraft(model, 'hires', ready, options, options, options.signal);
}

type Refining = ReturnType<typeof checkOptions<typeof refineSpec>>;

async function draftAgain(
  model: PipelineModel,
  images: readonly (FirstPassImage | ImageInput)[],
  options: Refining,
): Promise<Drafted> {
  const { facts } = model;
  const { signal, preview, tiling, onPreview, strictPrompt, ...hires } = options;
  const starts: GivenStart[] = [];
  for (const [index, image] of images.entries())
    starts.push(await startOfImage(model, image, `images[${String(index)}]`, hires.prompt, signal));
  const passes = starts.map(({ request }) => madeBy(request, facts));
  const [{ asked, tags, pass }] = passes as [MadeBy, ...MadeBy[]];
  requireAlike(starts, passes, hires);
  // A pass with a prompt or a list of its own does not need LoRAs that may not be here.
  const inherits = hires.loras === undefined && (hires.prompt ?? '').trim() === '';
  const loras = inherits ? await preparedSet(model, asked.loras, tags, signal) : undefined;
  const first: Pass = { ...pass, loras, seeds: seedsOf(passes), variation: variationOf(passes) };
  const latents = starts.every(({ result }) => result.latent !== null);
  const second = await draftHires(model, first, hires, asked, signal, latents);
  return {
    models: second.models,
    plan: makePlan({
      passes: second.passes,
      strictPrompt,
      preview: resolvePreview(preview, onPreview !== undefined, facts),
    }),
    inputs: second.inputs,
    tiling: resolveTiling(tiling),
    warnings: second.warnings,
    hires,
    starts,
  };
}

/** Pixels, and the latent where it is known; the request is told by the picture. */
async function startOfImage(
  model: PipelineModel,
  given: FirstPassImage | ImageInput,
  field: string,
  prompt: string | undefined,
  signal: AbortSignal | undefined,
): Promise<GivenStart> {
  const image = given instanceof FirstPassImage ? given.image : given;
  if (given instanceof FirstPassImage) await checkSpace(given.latent, model.facts, field);
  const options = { field, ...(signal === undefined ? {} : { signal }) };
  const picture = await readImage(image, options);
  const latent = given instanceof FirstPassImage ? given.latent.toNative() : null;
  // However the picture was made, here it is a first pass: its start picture plays no part any more.
  const base = { mode: 'txt2img', width: picture.width, height: picture.height } as const;
  if (image instanceof GeneratedImage && image.infotext !== '') {
    const { denoisingStrength: _strength, ...made } = image.parameters;
    return { result: { latent, picture }, request: { ...made, ...base } };
  }
  const infotext = await textOf(image, signal);
  if (infotext !== null)
    return {
      result: { latent, picture },
      request: { ...infotextToRequest(infotext, { strict: false, mode: 'txt2img', files: asNamed }), ...base },
    };
  if (prompt !== undefined) return { result: { latent, picture }, request: { prompt, seed: 0, ...base } };
  const hint = 'Give options.prompt, or a picture that was saved with its infotext.';
  throw invalidOption(field, 'a picture without infotext', 'a picture that says what it was made from', hint);
}

/** Nothing that a picture was made with is opened again: its caption names it as before. */
const asNamed = (name: string): string => name;

/** Only files and encoded bytes carry text. */
async function textOf(image: ImageInput, signal: AbortSignal | undefined): Promise<string | null> {
  if (typeof image !== 'string' && !(image instanceof URL) && !(image instanceof Uint8Array)) return null;
  return readInfotext(image, signal === undefined ? {} : { signal });
}

/** A picture's request, and the pass that made it. */
interface MadeBy {
  readonly asked: CheckedRequest;
  readonly tags: readonly LoraTag[];
  readonly pass: Pass;
}

function madeBy(request: GivenStart['request'], facts: ModelFacts): MadeBy {
  const { mode: _mode, hires: _hires, refiner: _refiner, ...base } = request;
  const asked = checkRequest('txt2img', { seed: 0, ...base }, facts);
  const { prompt, tags } = parseLoraTags(asked.prompt);
  const size = { width: asked.width ?? facts.defaults.width, height: asked.height ?? facts.defaults.height };
  return { asked, tags, pass: firstPass('txt2img', { ...asked, prompt }, size, facts) };
}

function seedsOf(passes: readonly MadeBy[]): number[] {
  return passes.map(({ pass }) => pass.sampling.seed);
}

/** Of one strength; each picture goes towards a noise of its own. */
function variationOf(passes: readonly MadeBy[]): Pass['variation'] {
  const all = passes.flatMap(({ pass: { variation } }) => variation ?? []);
  const [first] = all;
  return first === undefined ? null : { strength: first.strength, seeds: all.map(({ seeds }) => seeds[0] ?? 0) };
}

/** What the second pass takes from the first, by the options of a request, where it has nothing of its own. */
function inherited({ asked, pass }: MadeBy, hires: CheckedHires): Readonly<Record<string, unknown>> {
  const { sampling, clipSkip, width, height, negativePrompt, variation } = pass;
  const { sampler, schedule, steps, cfgScale, guidance, eta, flowShift, imageCfgScale, skipLayers, stepCache } =
    sampling;
  return {
    ...{ prompt: asked.prompt, negativePrompt, width, height },
    ...(hires.sampler === undefined ? { sampler } : {}),
    ...(hires.sampler === undefined && hires.schedule === undefined ? { schedule } : {}),
    ...((hires.steps ?? 0) === 0 ? { steps } : {}),
    ...(hires.cfgScale === undefined ? { cfgScale } : {}),
    ...(hires.guidance === undefined ? { guidance } : {}),
    ...(hires.clipSkip === undefined ? { clipSkip } : {}),
    imageCfgScale: imageCfgScale === cfgScale ? undefined : imageCfgScale,
    ...{ eta, flowShift, skipLayerGuidance: skipLayers, stepCache },
    variationStrength: variation?.strength ?? 0,
  };
}

/** One job has one conditioning, one size and one way to sample; only the seeds of its pictures differ. */
function requireAlike(starts: readonly GivenStart[], passes: readonly MadeBy[], hires: CheckedHires): void {
  const [first, ...others] = passes.map((pass) => inherited(pass, hires));
  for (const [index, values] of others.entries()) {
    const other = Object.keys(values).find((key) => !isDeepStrictEqual(values[key], first?.[key]));
    if (other === undefined) continue;
    const given = starts[index + 1]?.request[other] ?? values[other];
    const hint = `Call model.hires once for each kind of picture, or give it what differs.`;
    throw invalidOption(`images[${String(index + 1)}]`, given, `the ${other} of images[0]`, hint);
  }
}
