import type { StepCacheMode } from './samplers.js';

/** Skip-layer guidance of DiT models (SD3.x): the difference to a prediction with some layers left out is added. */
export interface SkipLayerGuidance {
  /** Indices of the transformer layers to skip. Default: [7, 8, 9]. */
  readonly layers?: readonly number[] | undefined;
  /** Share of the steps after which it begins, 0..1. Default: 0.01. */
  readonly start?: number | undefined;
  /** Share of the steps after which it ends, 0..1. Default: 0.2. */
  readonly end?: number | undefined;
  /** Strength; 0 turns it off. Default: 2.5. */
  readonly scale?: number | undefined;
}

/** Work through the VAE tile by tile: less memory, more time, slightly different pixels. */
export interface TilingOptions {
  /** Edge of a tile in latent cells (pixels / scaleFactor), 4..4096, or one value per axis. Default: 32. */
  readonly tileSize?: number | { readonly x: number; readonly y: number } | undefined;
  /** Share of a tile that overlaps its neighbour, 0..0.5. Default: 0.5. */
  readonly overlap?: number | undefined;
}

/** Reuse of work between steps. Faster, but the picture changes a little. */
export interface StepCacheOptions {
  /** `easycache`, `dbcache`, `taylorseer`, `cache-dit` are for DiT models, `ucache` for UNet models, `spectrum` for both. */
  readonly mode: StepCacheMode;
  /** How much change is tolerated before a step is computed again, > 0. Default: the mode's own. */
  readonly threshold?: number | undefined;
  /** Share of the steps computed in full at the beginning, 0..1. Default: 0.15. */
  readonly start?: number | undefined;
  /** Share of the steps after which all are computed in full again, 0..1. Default: 0.95. */
  readonly end?: number | undefined;
}

/** What a pass does. It belongs to the pass, so nothing that compiles or loads can change it. */
export type PassMode = 'txt2img' | 'img2img' | 'inpaint';
