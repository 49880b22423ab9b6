import { shapeSuite } from '../support/shapes.js';

const t5 = { kind: 't5xxl', gguf: 'q4_0' } as const;

/**
 * Every further architecture that the engine detects and that fits in 12 GB of memory at a quantised type. Where it
 * reads widths and depths from the tensors the kind is narrow or short, which takes the same paths; where it fixes them
 * they are whole. docs/models.md lists the ones that are not here, and why.
 */
const cases = [
  { kind: 'sd1-inpaint', architecture: 'SD 1.x Inpaint', latentChannels: 4, also: ['inpaint'] },
  { kind: 'sd1-pix2pix', architecture: 'Instruct-Pix2Pix', latentChannels: 4, also: ['reference'] },
  { kind: 'sd1-tiny', architecture: 'SD 1.x Tiny UNet', latentChannels: 4, also: ['img2img'] },
  { kind: 'sd2', architecture: 'SD 2.x', latentChannels: 4 },
  { kind: 'sd2-inpaint', architecture: 'SD 2.x Inpaint', latentChannels: 4, also: ['inpaint'] },
  { kind: 'sd2-tiny', architecture: 'SD 2.x Tiny UNet', latentChannels: 4 },
  { kind: 'sdxs-512', architecture: 'SDXS (512-DS)', latentChannels: 4 },
  { kind: 'sdxs-09', architecture: 'SDXS (09)', latentChannels: 4 },
  { kind: 'sdxl', architecture: 'SDXL', latentChannels: 4, weightType: 'q8_0' },
  { kind: 'sdxl-inpaint', architecture: 'SDXL Inpaint', latentChannels: 4, weightType: 'q8_0', also: ['inpaint'] },
  { kind: 'sdxl-pix2pix', architecture: 'SDXL Instruct-Pix2Pix', latentChannels: 4, gguf: 'q8_0', also: ['reference'] },
  { kind: 'sdxl-ssd1b', architecture: 'SDXL (SSD1B)', latentChannels: 4, weightType: 'q8_0' },
  { kind: 'sdxl-vega', architecture: 'SDXL (Vega)', latentChannels: 4, weightType: 'q8_0' },
  { kind: 'sd3-medium', architecture: 'SD3.x', latentChannels: 16, weightType: 'q8_0' },
  { kind: 'sd3-medium', architecture: 'SD3.x', latentChannels: 16, gguf: 'q8_0', beside: { t5xxl: t5 } },
  { kind: 'flux-narrow', architecture: 'Flux', latentChannels: 16, also: ['img2img'] },
  { kind: 'flux-short', architecture: 'Flux', latentChannels: 16, beside: { t5xxl: t5 } },
  { kind: 'flux-fill', architecture: 'Flux Fill', latentChannels: 16, also: ['inpaint'] },
  { kind: 'flux-controls', architecture: 'Flux Control', latentChannels: 16, also: ['control'] },
  {
    kind: 'flex-2',
    architecture: 'Flex.2',
    latentChannels: 16,
    also: ['inpaint'],
    noSdCli: 'its generate_image gives the graph fewer channels than it reads (see lib/pipeline/latents.ts)',
  },
  { kind: 'chroma-narrow', architecture: 'Flux', latentChannels: 16, beside: { t5xxl: t5 } },
  {
    kind: 'chroma-radiance',
    architecture: 'Chroma Radiance',
    latentChannels: 3,
    vae: false,
    beside: { t5xxl: t5 },
  },
  { kind: 'flux2-narrow', architecture: 'Flux.2', latentChannels: 128, beside: { llm: { kind: 'mistral' } } },
  { kind: 'flux2-klein', architecture: 'Flux.2 klein', latentChannels: 128, beside: { llm: { kind: 'qwen3-klein' } } },
  {
    kind: 'qwen-image-short',
    architecture: 'Qwen Image',
    latentChannels: 16,
    weightType: 'q8_0',
    beside: { llm: { kind: 'qwen25vl', gguf: 'q8_0' } },
  },
  {
    kind: 'z-image',
    architecture: 'Z-Image',
    latentChannels: 16,
    gguf: 'q4_0',
    beside: { llm: { kind: 'qwen3-z', gguf: 'q4_0' } },
  },
  { kind: 'ovis-narrow', architecture: 'Ovis Image', latentChannels: 16, beside: { llm: { kind: 'qwen3-ovis' } } },
  { kind: 'ernie-short', architecture: 'Ernie Image', latentChannels: 128, beside: { llm: { kind: 'ministral' } } },
  {
    kind: 'anima-short',
    architecture: 'Anima',
    latentChannels: 16,
    beside: { llm: { kind: 'qwen3-anima', gguf: 'q8_0' } },
  },
  {
    kind: 'wan-1.3b',
    architecture: 'Wan 2.x',
    latentChannels: 16,
    gguf: 'q8_0',
    beside: { t5xxl: { kind: 'umt5xxl', gguf: 'q4_0' } },
    video: true,
  },
  {
    kind: 'wan-5b',
    architecture: 'Wan 2.2 TI2V',
    latentChannels: 48,
    gguf: 'q4_0',
    beside: { t5xxl: { kind: 'umt5xxl', gguf: 'q4_0' } },
    video: true,
  },
] as const satisfies readonly Parameters<typeof shapeSuite>[0][];

for (const shape of cases) shapeSuite(shape);
