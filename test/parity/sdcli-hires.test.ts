import { paritySuite } from './embedded.js';

/**
 * Pairs of steps and strength for which both run as many steps: A1111's rule is ours, that of sd-cli runs one more where
 * int(steps / strength) * strength is `steps` again (see `hiresSteps`). Twice both edges: where the shape changes, A1111
 * cuts and sd-cli stretches. Of its upscalers only those of latents are the same: its pixels are floats, A1111's are bytes.
 * Its filters sum in 64 bits over both axes at once, PyTorch's and ours in 32 bits over one after the other: a level of a
 * few samples. `Latent (bicubic antialiased)` is left out, since it has another cubic there (a = -0.75 for -0.5).
 */
paritySuite('a second pass draws the bytes of sd-cli', {}, [
  {
    name: 'Latent, 4 steps at 0.6',
    atMost: 1,
    request: { steps: 1, hires: { scale: 2, upscaler: 'Latent', steps: 4, denoisingStrength: 0.6 } },
  },
  {
    name: 'nearest, guidance and a negative prompt, batch of 2',
    request: {
      ...{ cfgScale: 3, negativePrompt: 'green', batchSize: 2, sampler: 'euler_a', steps: 1 },
      hires: { scale: 2, upscaler: 'Latent (nearest)', steps: 1, denoisingStrength: 0.6 },
    },
  },
  {
    name: 'nearest-exact, the size told outright',
    request: {
      steps: 1,
      hires: { width: 128, height: 128, upscaler: 'Latent (nearest-exact)', steps: 1, denoisingStrength: 0.6 },
    },
  },
  {
    name: 'antialiased, 3 steps at 0.7',
    atMost: 1,
    request: { steps: 1, hires: { scale: 2, upscaler: 'Latent (antialiased)', steps: 3, denoisingStrength: 0.7 } },
  },
  {
    name: 'bicubic, another schedule, the steps of the first pass',
    atMost: 1,
    request: { schedule: 'karras', hires: { scale: 2, upscaler: 'Latent (bicubic)', denoisingStrength: 0.6 } },
  },
  {
    name: 'nearest, strength 1',
    request: { hires: { scale: 2, upscaler: 'Latent (nearest)', steps: 2, denoisingStrength: 1 } },
  },
]);
