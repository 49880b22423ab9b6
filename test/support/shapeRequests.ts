import { paint, tiny } from './native.js';
import type { ParityRequest } from './sdcli/index.js';

/** A request of a mode, 64x64 in two steps; guidance 1 is one evaluation of the diffusion model a step. */
export type ShapeRequest = 'txt2img' | 'img2img' | 'inpaint' | 'reference' | 'control';

// Defaults that differ between us and sd-cli are named.
const plain = { ...tiny, negativePrompt: '', schedule: 'discrete', guidance: 3.5 } as const;
const colours = paint((x, y) => [x * 4, y * 4, 255 - x * 2 - y * 2]);
const corner = paint((x, y) => (x < 32 && y < 32 ? [255, 255, 255] : [0, 0, 0]));

export function shapeRequests(mode: ShapeRequest): ParityRequest {
  switch (mode) {
    case 'txt2img':
      return plain;
    case 'img2img':
      // One of the two steps; both would be all noise to a flow model.
      return { ...plain, image: colours, denoisingStrength: 0.4 };
    case 'inpaint':
      return { ...plain, image: colours, mask: corner, denoisingStrength: 1 };
    case 'reference':
      // Two guidances and a negative prompt: three evaluations a step, as these models are used.
      return { ...plain, refImages: [colours], cfgScale: 3, imageCfgScale: 1.5, negativePrompt: 'blurry' };
    case 'control':
      return { ...plain, controlImage: colours };
  }
}
