import { paritySuite } from './embedded.js';

const ancestral = { sampler: 'euler_a', cfgScale: 3 } as const;

// Each loads the model anew, so each draws little.
paritySuite('noise of PyTorch', { rng: 'cpu' }, [{ name: 'euler_a', request: ancestral }]);
paritySuite('noise of the standard library', { rng: 'std_default' }, [{ name: 'euler_a', request: ancestral }]);
paritySuite('another generator for the sampler', { samplerRng: 'cpu' }, [{ name: 'euler_a', request: ancestral }]);
paritySuite(
  'flash attention and direct convolution',
  { flashAttention: true, diffusionConvDirect: true, vaeConvDirect: true },
  [{ name: 'guidance 3', request: { cfgScale: 3 } }],
);
paritySuite('weights as q8_0', { weightType: 'q8_0', mmap: false }, [{ name: 'guidance 3', request: { cfgScale: 3 } }]);
paritySuite('weights by rules', { tensorTypeRules: { '^model\\.diffusion_model\\.': 'q4_0' }, mmap: false }, [
  { name: 'one step', request: { steps: 1 } },
]);
paritySuite('circular along x', { circular: { x: true } }, [{ name: 'one step', request: { steps: 1 } }]);
paritySuite('circular along both, in tiles', { circular: true }, [
  { name: 'one step', request: { steps: 1, width: 128, tiling: { tileSize: 8, overlap: 0.25 } } },
]);
paritySuite('v prediction', { prediction: 'v' }, [{ name: 'two steps', request: {} }]);
paritySuite('other numbers of threads', { threads: 1 }, [{ name: 'two steps', request: {} }], {
  sdCli: { threads: 2 },
});
