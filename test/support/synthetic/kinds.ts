import { clipG, clipH, clipL, hfClip, openClip } from './clip.js';
import { controlNet } from './control.js';
import { ditKinds } from './dit-kinds.js';
import { type Build, type SyntheticTensor, Tensors } from './tensors.js';
import { unet, type UnetConfig } from './unet.js';
import { taesd, vae, vaeSd } from './vae.js';

const sd1Unet: UnetConfig = {
  inChannels: 4,
  contextWidth: 768,
  multipliers: [1, 2, 4, 4],
  transformerDepth: [1, 1, 1, 0],
  middle: 1,
  residualBlocks: 2,
  linearProjection: false,
};
const sd2Unet: UnetConfig = { ...sd1Unet, contextWidth: 1024, linearProjection: true };
const sdxlUnet: UnetConfig = {
  inChannels: 4,
  contextWidth: 2048,
  multipliers: [1, 2, 4],
  transformerDepth: [0, 2, 10],
  middle: 10,
  residualBlocks: 2,
  linearProjection: true,
  vectorWidth: 2816,
};
const vegaUnet: UnetConfig = { ...sdxlUnet, middle: 'first residual', transformerDepth: [0, 1, 2] };
const tinyUnet = {
  multipliers: [1, 2, 4],
  transformerDepth: [1, 1, 1],
  middle: 'none',
  residualBlocks: 1,
  tiny: true,
} as const;

/** Segmind's SSD-1B: SDXL with layers taken out, unevenly. */
function ssd1bDepth(side: 'in' | 'out', level: number, layer: number): number | undefined {
  if (level === 2) return side === 'in' || layer < 2 ? 4 : undefined;
  return level === 1 && side === 'out' && layer > 0 ? 1 : undefined;
}

function sd1(config: UnetConfig): Build {
  return (root) => {
    unet(root.at('model.diffusion_model'), config);
    hfClip(root.at('cond_stage_model.transformer'), clipL);
    vae(root.at('first_stage_model'), vaeSd);
  };
}

/** How a text encoder's tensors are named: as in the checkpoints, or as in files of its own. */
type Naming = 'open_clip' | 'transformers';

function sd2(config: UnetConfig, naming: Naming = 'open_clip'): Build {
  return (root) => {
    unet(root.at('model.diffusion_model'), config);
    if (naming === 'open_clip') openClip(root.at('cond_stage_model.model'), clipH);
    else hfClip(root.at('cond_stage_model.transformer'), clipH);
    vae(root.at('first_stage_model'), vaeSd);
  };
}

function sdxl(config: UnetConfig, naming: Naming = 'open_clip'): Build {
  return (root) => {
    unet(root.at('model.diffusion_model'), config);
    hfClip(root.at('conditioner.embedders.0.transformer'), clipL);
    if (naming === 'open_clip') openClip(root.at('conditioner.embedders.1.model'), clipG);
    else hfClip(root.at('conditioner.embedders.1.transformer'), clipG);
    vae(root.at('first_stage_model'), vaeSd);
  };
}

/** Whatever the builder writes, with a TAESD in place of the VAE. */
function sdxs(build: Build): Build {
  return (root) => {
    build(root);
    root.drop((name) => name.startsWith('first_stage_model.'));
    taesd(root.at('first_stage_model'));
  };
}

const builders = {
  sd1: sd1(sd1Unet),
  'sd1-inpaint': sd1({ ...sd1Unet, inChannels: 9 }),
  'sd1-pix2pix': sd1({ ...sd1Unet, inChannels: 8 }),
  'sd1-tiny': sd1({ ...sd1Unet, ...tinyUnet }),
  sd2: sd2(sd2Unet),
  'sd2-inpaint': sd2({ ...sd2Unet, inChannels: 9 }),
  'sd2-tiny': sd2({ ...sd2Unet, ...tinyUnet }),
  sdxl: sdxl(sdxlUnet),
  'sdxl-inpaint': sdxl({ ...sdxlUnet, inChannels: 9 }),
  'sdxl-pix2pix': sdxl({ ...sdxlUnet, inChannels: 8 }),
  'sdxl-ssd1b': sdxl({ ...sdxlUnet, middle: 'first residual', depthOf: ssd1bDepth }),
  'sdxl-vega': sdxl(vegaUnet),
  'sdxl-vega-hf': sdxl(vegaUnet, 'transformers'),
  /** Distilled to one step, with a TAESD under the VAE's name. */
  'sd2-tiny-hf': sd2({ ...sd2Unet, ...tinyUnet }, 'transformers'),
  'sdxs-512': sdxs(sd1({ ...sd1Unet, ...tinyUnet, transformerDepth: [0, 1, 1] })),
  /** For the option `controlNet`. */
  'sd1-control': (root) => {
    controlNet(root.at('control_model'), sd1Unet);
  },
  'sdxs-09': sdxs(sd2({ ...sd2Unet, ...tinyUnet, selfContextWidth: 1024 })),
  ...ditKinds,
} as const satisfies Record<string, Build>;

export type SyntheticKind = keyof typeof builders;
export const syntheticKinds = Object.keys(builders) as readonly SyntheticKind[];

/** Names, shapes and value rules of a kind, in file order. */
export function syntheticTensors(kind: SyntheticKind): readonly SyntheticTensor[] {
  const root = new Tensors();
  builders[kind](root);
  let start = 0;
  return root.list.map((tensor) => {
    const placed = { ...tensor, start };
    // Whole blocks of the quantised types.
    start += Math.ceil(tensor.shape.reduce((product, size) => product * size, 1) / 32) * 32;
    return placed;
  });
}

/** The tensors of a kind below a name, without it: the same weights as a component file has them. */
export function syntheticPart(kind: SyntheticKind, prefix: string): readonly SyntheticTensor[] {
  return syntheticTensors(kind)
    .filter(({ name }) => name.startsWith(prefix))
    .map((tensor) => ({ ...tensor, name: tensor.name.slice(prefix.length) }));
}
