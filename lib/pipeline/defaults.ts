/** What a request gets when it leaves something out; depends on the model. */
export interface ModelDefaults {
  /** Pixels. */
  readonly width: number;
  readonly height: number;
  readonly steps: number;
  readonly cfgScale: number;
  /** Distilled guidance; without effect on models that were not distilled with it. */
  readonly guidance: number;
}

const base: ModelDefaults = { width: 512, height: 512, steps: 20, cfgScale: 7, guidance: 3.5 };
const large = { width: 1024, height: 1024 };

/** Of the embedded model, which was trained at 128x128. */
const embedded: ModelDefaults = { ...base, width: 128, height: 128, cfgScale: 3 };

/** By the engine's name of the family; the values are those the authors of the models recommend. */
const byArchitecture: Readonly<Record<string, Partial<ModelDefaults>>> = {
  'SDXS (512-DS)': { steps: 1, cfgScale: 1 },
  'SDXS (09)': { steps: 1, cfgScale: 1 },
  SDXL: large,
  'SDXL Inpaint': large,
  'SDXL Instruct-Pix2Pix': large,
  'SDXL (Vega)': large,
  'SDXL (SSD1B)': large,
  'SD3.x': { ...large, steps: 28, cfgScale: 4.5 },
  Flux: { ...large, cfgScale: 1 },
  'Flux Fill': { ...large, cfgScale: 1, guidance: 30 },
  'Flux Control': { ...large, cfgScale: 1, guidance: 10 },
  'Flex.2': { ...large, cfgScale: 1 },
  'Chroma Radiance': { ...large, cfgScale: 4 },
  'Qwen Image': { ...large, cfgScale: 2.5 },
  Anima: { ...large, steps: 30, cfgScale: 4 },
  'Flux.2': { ...large, cfgScale: 1, guidance: 4 },
  'Flux.2 klein': { ...large, steps: 4, cfgScale: 1 },
  'Z-Image': { ...large, steps: 8, cfgScale: 1 },
  'Ovis Image': { ...large, cfgScale: 5 },
  'Ernie Image': { ...large, cfgScale: 4 },
};

/** Defaults of a model. SD 2.x with v-prediction was trained at 768, with epsilon prediction at 512. */
export function modelDefaults(architecture: string, prediction: string, isEmbedded: boolean): ModelDefaults {
  if (isEmbedded) return embedded;
  if (architecture.startsWith('SD 2.x') && prediction === 'v') return { ...base, width: 768, height: 768 };
  return { ...base, ...byArchitecture[architecture] };
}
