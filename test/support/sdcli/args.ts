import type { RawImage } from '../../../lib/index.js';
import { type SdCliHires, type SdCliLoad, type SdCliRequest, sdCliFlags } from '../../../lib/bench/peers/sdCliFlags.js';

export type { SdCliLoad as ParityLoad };

/** A request of any mode: with `image` img2img, with `mask` inpainting, without txt2img. Pictures as pixels. */
export type ParityRequest = SdCliRequest & {
  readonly image?: RawImage;
  readonly mask?: RawImage;
  readonly refImages?: readonly RawImage[];
  readonly controlImage?: RawImage;
};

export type { SdCliHires as ParityHires };

/** Writes a picture for sd-cli and returns its path. */
export type WritePicture = (image: RawImage) => Promise<string>;

/** The command line that asks sd-cli for the same pictures. */
export async function sdCliArgs(
  load: SdCliLoad,
  request: ParityRequest,
  output: string,
  write: WritePicture,
): Promise<string[]> {
  const { image, mask, refImages = [], controlImage, ...plain } = request;
  const args = [...sdCliFlags(load, plain), '--output', output];
  if (image !== undefined) args.push('--init-img', await write(image));
  if (mask !== undefined) args.push('--mask', await write(mask));
  if (controlImage !== undefined) args.push('--control-image', await write(controlImage));
  for (const ref of refImages) args.push('--ref-image', await write(ref));
  return args;
}
