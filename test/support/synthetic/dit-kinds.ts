import { clipG, clipL, hfClip } from './clip.js';
import { anima, ernieImage, qwenImage, zImage } from './dit.js';
import { flux, type FluxConfig } from './flux.js';
import { languageModels, llm, t5xxl, umt5xxl } from './language.js';
import { mmdit } from './mmdit.js';
import type { Build, Tensors } from './tensors.js';
import { vae, vae16, vae32, type VaeConfig } from './vae.js';
import { wan, wan1b, wan22Vae, wan5b, wanVae } from './wan.js';

const vaeOf =
  (config: VaeConfig) =>
  (root: Tensors): void => {
    vae(root.at('first_stage_model'), config);
  };
const imageVae = vaeOf(vae16);
const videoVae: Build = (root) => {
  wanVae(root.at('first_stage_model'));
};
const clip: Build = (root) => {
  hfClip(root.at('text_encoders.clip_l.transformer'), clipL);
};

const sd3: Build = (root) => {
  mmdit(root.at('model.diffusion_model'), 24);
  clip(root);
  hfClip(root.at('text_encoders.clip_g.transformer'), clipG);
  imageVae(root);
};

/** Two heads and two blocks of each kind: what takes every path and is quick. */
const narrow = { width: 256, double: 2, single: 2, guidance: false } as const;

const fluxModel =
  (config: FluxConfig, ...parts: readonly Build[]): Build =>
  (root) => {
    flux(root.at('model.diffusion_model'), config);
    for (const part of parts) part(root);
  };

/** A language model in a file of its own, for the option `llm`. */
const language =
  (name: keyof typeof languageModels): Build =>
  (root) => {
    llm(root, languageModels[name]);
  };

/** Diffusion transformers with their VAE, and CLIP where they have one. T5 and language models are files of their own. */
export const ditKinds = {
  'sd3-medium': sd3,
  /** The same with T5 in the same file. */
  'sd3-medium-t5': (root) => {
    sd3(root);
    t5xxl(root.at('text_encoders.t5xxl.transformer'));
  },
  /** Full width, 2 + 2 of the 19 + 38 blocks. */
  'flux-short': fluxModel({ ...narrow, width: 3072 }, clip, imageVae),
  'flux-narrow': fluxModel({ ...narrow, guidance: true }, clip, imageVae),
  'flux-fill': fluxModel({ ...narrow, guidance: true, inChannels: 384 }, clip, imageVae),
  'flux-controls': fluxModel({ ...narrow, guidance: true, inChannels: 128 }, clip, imageVae),
  'flex-2': fluxModel({ ...narrow, guidance: true, inChannels: 196 }, clip, imageVae),
  'chroma-narrow': fluxModel({ ...narrow, family: 'chroma' }, imageVae),
  'chroma-radiance': fluxModel({ ...narrow, family: 'radiance' }),
  'ovis-narrow': fluxModel({ ...narrow, family: 'ovis', contextWidth: languageModels.qwen3ovis.width }, imageVae),
  /** Known to the engine by its 48 single blocks. */
  'flux2-narrow': fluxModel(
    { ...narrow, family: 'flux2', single: 48, guidance: true, contextWidth: 3 * languageModels.mistral.width },
    vaeOf(vae32),
  ),
  'flux2-klein': fluxModel(
    { ...narrow, family: 'flux2', contextWidth: 3 * languageModels.qwen3klein.width },
    vaeOf(vae32),
  ),
  'qwen-image-short': (root) => {
    qwenImage(root.at('model.diffusion_model'), 2);
    videoVae(root);
  },
  'z-image': (root) => {
    zImage(root.at('model.diffusion_model'));
    imageVae(root);
  },
  'ernie-short': (root) => {
    ernieImage(root.at('model.diffusion_model'), 4096, 2, languageModels.ministral.width);
    vaeOf(vae32)(root);
  },
  'anima-short': (root) => {
    anima(root.at('model.diffusion_model.net'), 2);
    videoVae(root);
  },
  'wan-1.3b': (root) => {
    wan(root.at('model.diffusion_model'), wan1b);
    videoVae(root);
  },
  'wan-5b': (root) => {
    wan(root.at('model.diffusion_model'), wan5b);
    wan22Vae(root.at('first_stage_model'));
  },
  t5xxl,
  umt5xxl,
  qwen25vl: language('qwen25vl'),
  'qwen3-z': language('qwen3z'),
  'qwen3-klein': language('qwen3klein'),
  'qwen3-ovis': language('qwen3ovis'),
  'qwen3-anima': language('qwen3anima'),
  mistral: language('mistral'),
  ministral: language('ministral'),
} as const satisfies Record<string, Build>;
