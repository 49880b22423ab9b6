import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ProgressEvent, Txt2ImgRequest } from '../pipeline/index.js';
import { readPixels } from './pictures.js';
import type { BenchHost, BenchModel, BenchRequest, FreshJob, PictureTimes, Side } from './types.js';

export const ownName = 'node-diffusion';

/** A model as far as pictures go. Timings are in seconds. */
interface Painter<I> {
  txt2img(request: Txt2ImgRequest): Promise<{
    readonly images: readonly I[];
    readonly timings: Omit<PictureTimes, 'firstStep'>;
  }>;
}

/** One picture by a model that is loaded; times in milliseconds. */
export async function timedPicture<I>(
  model: Painter<I>,
  request: BenchRequest,
  signal: AbortSignal | undefined,
): Promise<{ readonly times: PictureTimes; readonly image: I }> {
  const start = performance.now();
  let firstStep = NaN;
  const onProgress = ({ phase, step }: ProgressEvent): void => {
    if (phase === 'sample' && step >= 1 && Number.isNaN(firstStep)) firstStep = performance.now() - start;
  };
  const asked: Txt2ImgRequest = { ...request, onProgress, signal };
  const { images, timings } = await model.txt2img(asked);
  const total = performance.now() - start;
  const [image] = images;
  if (image === undefined) throw new Error('A request made no picture.');
  const ms = (seconds: number): number => seconds * 1000;
  const times: PictureTimes = {
    encode: ms(timings.encode),
    sample: ms(timings.sample),
    decode: ms(timings.decode),
    total,
    firstStep,
  };
  return { times, image };
}

/** This package with the model in memory all the time. */
export function residentSide(model: BenchModel, signal: AbortSignal, name = ownName): Side {
  return {
    name,
    about: {},
    async picture(request) {
      const { times, image } = await timedPicture(model, request, signal);
      return { ...times, pixels: { width: image.width, height: image.height, data: image.data } };
    },
    close: async () => undefined,
  };
}

/** This package in a fresh process for every picture, as a peer that is a command line program. */
export async function freshSide(host: BenchHost, job: FreshJob, signal: AbortSignal): Promise<Side> {
  const folder = await mkdtemp(join(tmpdir(), 'node-diffusion-bench-'));
  const output = join(folder, 'picture.png');
  return {
    name: ownName,
    about: {},
    async picture(request) {
      const result = await host.fresh({ ...job, request, output }, signal);
      if (result.times === null) throw new Error('The fresh process made no picture.');
      const { load, process, peak } = result;
      return { ...result.times, load, process, peak, pixels: await readPixels(output) };
    },
    close: () => rm(folder, { recursive: true, force: true }),
  };
}
