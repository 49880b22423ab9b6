import { paritySuite } from './embedded.js';

/**
 * Pairs of steps and strength for which both run as many steps: A1111's rule is ours, that of sd-cli runs one more where
 * int(steps / strength) * strength is `steps` again (see `hiresSteps`). Sizes are told outright, since sd-cli rounds up
 * where A1111 rounds down. Of its upscalers only those of latents are the same: its pixels are floats, A1111's are bytes.
 */
const size = { width: 128, height: 64 };

paritySuite('a second pass draws the bytes of sd-cli', {}, [
  {
    name: 'Latent, 4 steps at 0.6',
    request: { hires: { ...size, upscaler: 'Latent', steps: 4, denoisingStrength: 0.6 } },
  },
  {
    name: 'nearest, guidance and a negative prompt, batch of 2',
    request: {
      ...{ cfgScale: 3, negativePrompt: 'green', batchSize: 2, sampler: 'euler_a', steps: 1 },
      hires: { ...size, upscaler: 'Latent (nearest)', steps: 2, denoisingStrength: 0.6 },
    },
  },
  {
    name: 'nearest-exact, higher than wide',
    request: {
      steps: 1,
      hires: { width: 64, height: 128, upscaler: 'Latent (nearest-exact)', steps: 1, denoisingStrength: 0.6 },
    },
  },
  {
    name: 'antialiased',
    request: { steps: 1, hires: { ...size, upscaler: 'Latent (antialiased)', steps: 3, denoisingStrength: 0.7 } },
  },
  {
    name: 'bicubic, another schedule, the steps of the first pass',
    request: { schedule: 'karras', hires: { ...size, upscaler: 'Latent (bicubic)', denoisingStrength: 0.6 } },
  },
  {
    name: 'bicubic antialiased, strength 1',
    request: { hires: { ...size, upscaler: 'Latent (bicubic antialiased)', steps: 2, denoisingStrength: 1 } },
  },
]);
