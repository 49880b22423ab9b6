import type { GeneratedImage } from '../../image/index.js';
import type { GenerateEvent, Img2ImgRequest, InpaintRequest, Phase, Txt2ImgRequest } from '../../pipeline/index.js';
import type { CliContext } from '../context.js';
import { outputNames } from '../output-names.js';
import type { ProgressView } from '../progress/view.js';
import type { CliModel } from '../runtime.js';
import type { PictureJob } from './prepare.js';

export interface SavedImage {
  readonly path: string;
  readonly image: GeneratedImage;
}

export interface Painted {
  readonly saved: readonly SavedImage[];
  /** Seconds. */
  readonly seconds: Readonly<Partial<Record<Phase, number>>>;
  readonly total: number;
}

/** Time by phase: what passes until the next phase begins belongs to the one before. */
class PhaseClock {
  readonly seconds: Partial<Record<Phase, number>> = {};
  #phase: Phase | undefined;
  #since: number;

  constructor(readonly now: () => number) {
    this.#since = now();
  }

  enter(phase: Phase | undefined): void {
    const time = this.now();
    if (this.#phase !== undefined) {
      this.seconds[this.#phase] = (this.seconds[this.#phase] ?? 0) + (time - this.#since) / 1000;
    }
    this.#phase = phase;
    this.#since = time;
  }
}

/**
 * Makes the pictures of a job. Each is saved, and its path written, as soon as it is done, so an interrupted batch
 * keeps what it has.
 */
export async function paint(
  model: CliModel,
  job: PictureJob,
  context: CliContext,
  view: ProgressView,
  signal: AbortSignal,
): Promise<Painted> {
  const clock = new PhaseClock(context.now);
  const started = context.now();
  const paths = outputNames(job.output, job.request.batchSize ?? 1);
  const saved: SavedImage[] = [];
  for await (const event of start(model, job, watched(job, view, clock, signal))) {
    if (event.type !== 'image') continue;
    const image = event.result;
    const path = await image.save(paths[event.image - 1] ?? job.output, { ...job.save, signal });
    saved.push({ path, image });
    await view.finalPicture(image);
    if (job.settings.json === true) continue;
    await view.pause();
    context.stdout.write(`${path}\n`);
  }
  clock.enter(undefined);
  return { saved, seconds: clock.seconds, total: (context.now() - started) / 1000 };
}

/** The request with our listeners. A stream always makes previews; without a viewer the fewest possible. */
function watched({ request }: PictureJob, view: ProgressView, clock: PhaseClock, signal: AbortSignal): Txt2ImgRequest {
  const preview = view.wantsPreviews ? request.preview : { every: 1000 };
  return {
    ...request,
    ...(preview === undefined ? {} : { preview }),
    signal,
    onProgress: (event) => {
      clock.enter(event.phase);
      view.update(event);
    },
    onWarning: ({ message }) => {
      view.note(`node-diffusion: warning: ${message}`);
    },
    onPreview: (event) => {
      view.preview(event.preview);
    },
  };
}

function start(model: CliModel, { mode }: PictureJob, request: Txt2ImgRequest): AsyncIterable<GenerateEvent> {
  if (mode === 'txt2img') return model.txt2imgStream(request);
  if (mode === 'img2img') return model.img2imgStream(request as Img2ImgRequest);
  return model.inpaintStream(request as InpaintRequest);
}
