import { paritySuite } from './embedded.js';
import { disc, slantedMask } from './pictures.js';

const image = disc(64, 64);
const wide = disc(128, 64);

paritySuite('requests draw the bytes of sd-cli', {}, [
  { name: 'no guidance', request: {} },
  { name: 'guidance 3, no negative prompt', request: { cfgScale: 3 } },
  {
    name: 'guidance 7, negative prompt, batch of 2, an ancestral sampler',
    request: { cfgScale: 7, negativePrompt: 'green, leaf', batchSize: 2, sampler: 'euler_a', schedule: 'karras' },
  },
  { name: 'guidance below 1', request: { cfgScale: 0.5 } },
  { name: 'a portrait', request: { height: 128, steps: 1 } },
  { name: 'a seed beyond 32 bits', request: { seed: 2 ** 40 + 7 } },
  {
    name: 'weighted and long prompt',
    request: { prompt: `(a ((red)) apple:1.3), [leaf], ${'shiny '.repeat(90)}`, steps: 1 },
  },
  { name: 'eta 0.6', request: { sampler: 'ddim_trailing', schedule: 'simple', eta: 0.6, steps: 3 } },
  { name: 'eta 0.3, ancestral', request: { sampler: 'dpm++2s_a', eta: 0.3 } },
  { name: 'own noise levels', request: { sigmas: [12.5, 4.25, 1.125, 0.1, 0], steps: 4, sampler: 'dpm++2m' } },
  { name: 'a step cache', request: { steps: 6, stepCache: { mode: 'ucache', threshold: 2, start: 0.1, end: 0.9 } } },
  { name: 'clip skip', request: { clipSkip: 12 } },
  { name: 'img2img, strength 0.5', request: { image, denoisingStrength: 0.5, steps: 4, cfgScale: 3 } },
  { name: 'img2img, strength 0.1', request: { image, denoisingStrength: 0.1, steps: 10 } },
  {
    name: 'img2img, strength 0.3, ancestral',
    request: { image, denoisingStrength: 0.3, steps: 6, sampler: 'euler_a' },
  },
  { name: 'img2img, strength 1', request: { image, denoisingStrength: 1 } },
  {
    name: 'img2img, own noise levels',
    request: { image, denoisingStrength: 0.5, sigmas: [9, 4, 1, 0.2, 0], steps: 4 },
  },
  {
    name: 'inpaint, guidance 3, batch of 2',
    request: {
      image,
      mask: slantedMask(64, 64),
      denoisingStrength: 0.75,
      cfgScale: 3,
      batchSize: 2,
      sampler: 'euler_a',
    },
  },
  { name: 'inpaint, strength 1', request: { image, mask: slantedMask(64, 64), denoisingStrength: 1, sampler: 'lcm' } },
  {
    name: 'tiles, img2img',
    request: { width: 128, image: wide, tiling: { tileSize: 8, overlap: 0.25 }, denoisingStrength: 0.5, steps: 2 },
  },
  {
    name: 'tiles of two sizes',
    request: { width: 128, tiling: { tileSize: { x: 6, y: 5 }, overlap: 0.5 }, steps: 1, seed: 43 },
  },
]);
