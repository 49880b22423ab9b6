import { shapeSuite } from '../support/shapes.js';

/** Every further synthetic architecture that loads from one file and fits in 12 GB of memory. */
const cases = [
  { kind: 'sd1-tiny', architecture: 'SD 1.x Tiny UNet', latentChannels: 4 },
  { kind: 'sd2', architecture: 'SD 2.x', latentChannels: 4 },
  { kind: 'sd2-tiny', architecture: 'SD 2.x Tiny UNet', latentChannels: 4 },
  { kind: 'sdxl', architecture: 'SDXL', latentChannels: 4, weightType: 'q8_0' },
  { kind: 'sdxl-ssd1b', architecture: 'SDXL (SSD1B)', latentChannels: 4, weightType: 'q8_0' },
  { kind: 'sdxl-vega', architecture: 'SDXL (Vega)', latentChannels: 4, weightType: 'q8_0' },
  { kind: 'sd3-medium', architecture: 'SD3.x', latentChannels: 16, weightType: 'q8_0' },
  { kind: 'flux-narrow', architecture: 'Flux', latentChannels: 16 },
  { kind: 'flux-short', architecture: 'Flux', latentChannels: 16 },
] as const;

for (const shape of cases) shapeSuite(shape);
