import sharp from 'sharp';
import type { GenerateResult, Model, RawImage } from '../../../lib/index.js';
import type { Scratch } from '../scratch.js';
import { type ParityLoad, type ParityRequest, sdCliArgs } from './args.js';
import { runSdCli } from './run.js';

let count = 0;

/** Pictures of sd-cli for a request, in order. */
export async function drawWithSdCli(scratch: Scratch, load: ParityLoad, request: ParityRequest): Promise<RawImage[]> {
  const name = `sd-cli-${String(count++)}`;
  let pictures = 0;
  const write = async ({ width, height, channels, data }: RawImage): Promise<string> => {
    const path = scratch.path(`${name}-in-${String(pictures++)}.png`);
    const picture = sharp(data, { raw: { width, height, channels } });
    await (channels === 1 ? picture.toColourspace('b-w') : picture).png().toFile(path);
    return path;
  };
  const output = scratch.path(`${name}-%d.png`);
  await runSdCli(await sdCliArgs(load, request, output, write));
  return Promise.all(
    Array.from({ length: request.batchSize ?? 1 }, (_, index) => readPng(output.replace('%d', String(index)))),
  );
}

/** RGB pixels of a PNG as they are in the file. */
export async function readPng(path: string): Promise<RawImage> {
  const { data, info } = await sharp(path).raw().toBuffer({ resolveWithObject: true });
  if (info.channels !== 3) throw new Error(`${path} has ${String(info.channels)} channels, expected 3`);
  return { width: info.width, height: info.height, channels: 3, data };
}

/** Pictures of the addon for a request; its mode is that of the pictures in it. */
export function draw(model: Model, { image, mask, hires, ...request }: ParityRequest): Promise<GenerateResult> {
  if (image === undefined) {
    const { denoisingStrength: _, ...txt2img } = request;
    return model.txt2img({ ...txt2img, hires });
  }
  if (hires !== undefined) throw new Error('Only txt2img has a second pass');
  return mask === undefined ? model.img2img({ ...request, image }) : model.inpaint({ ...request, image, mask });
}
