import { describe, expect, it } from 'vitest';
import type { LoraBackup } from '../../lib/weights/index.js';
import { lowRank, type Part, seeded, writeLora } from '../support/lora/files.js';
import { expectAbortsToKeep, randomSets } from '../support/lora/sets.js';
import { RawWeights } from '../support/lora/weights.js';
import { failure } from '../support/native.js';
import { useScratch } from '../support/scratch.js';
import { writeSynthetic } from '../support/synthetic/index.js';

// A narrow Flux with every stored type in blocks of its own; SD's shape is in lora-exact.test.ts.
const scratch = useScratch(2 ** 28);
const unet = 'model.diffusion_model.';
const tensorTypeRules = [
  ...['double_blocks\\.0\\.img=f32', 'double_blocks\\.0\\.txt=bf16'],
  ...['single_blocks\\.0\\.=q8_0', 'single_blocks\\.1\\.=q4_K'],
].join(',');
const types = {
  f32: 'double_blocks.0.img_attn.qkv',
  bf16: 'double_blocks.0.txt_attn.qkv',
  f16: 'double_blocks.1.img_attn.qkv',
  q8_0: 'single_blocks.0.linear1',
  q4_K: 'single_blocks.1.linear1',
} as const;

async function load(backup: LoraBackup): Promise<RawWeights> {
  const weights = await RawWeights.load({
    ...{ tensorTypeRules, backup, load: { withoutTextEncoder: true, withoutVae: true } },
    checkpoint: async () => {
      const path = scratch.path('flux.safetensors');
      await writeSynthetic('flux-narrow', path, { seed: 5, only: (name) => name.startsWith(unet) });
      return path;
    },
  });
  for (const [type, name] of Object.entries(types)) expect(weights.info(`${unet}${name}.weight`).type).toBe(type);
  return weights;
}

/** Five files: low rank on every type, slices of fused projections, a difference with a bias, and turns. */
function makeLoras(): readonly [string, string, string, string, string] {
  const random = seeded(3);
  const file = (name: string, tensors: Record<string, Part>): string => writeLora(scratch.path(name), tensors);
  const all = Object.values(types);
  const whole = all.map((name) => [`${unet}${name}`, [name.endsWith('qkv') ? 768 : 1792, 256]] as const);
  const slices = ['transformer_blocks.0.attn.to_k', 'single_transformer_blocks.1.attn.to_v'];
  return [
    file('a.safetensors', lowRank(Object.fromEntries(whole), { seed: 1 })),
    file('b.safetensors', lowRank(Object.fromEntries(whole.slice(1)), { seed: 2, rank: 16 })),
    file(
      'c.safetensors',
      lowRank(Object.fromEntries(slices.map((name) => [`transformer.${name}`, [256, 256] as const])), { seed: 3 }),
    ),
    file('d.safetensors', {
      [`${unet}${types.f16}.diff`]: random([768, 256], 0.01),
      [`${unet}${types.f32}.diff_b`]: random([768], 0.1),
    }),
    file('e.safetensors', {
      [`${unet}${types.bf16}.oft_blocks`]: random([192, 4, 4], 0.05),
      [`${unet}${types.q8_0}.oft_blocks`]: random([448, 4, 4], 0.05),
    }),
  ];
}

const turns = 200;

it.each(['file', 'ram'] as const)('backup %s: the digest after 1, 2 and 200 random sets', async (backup) => {
  const weights = await load(backup);
  try {
    const before = await weights.digest();
    const next = randomSets(makeLoras(), backup === 'file' ? 6 : 7);
    const seen = new Set<string>();
    for (let turn = 1; turn <= turns; turn++) {
      const set = next();
      await weights.set(set);
      if (turn > 2 && turn < turns) continue;
      const here = await weights.digest();
      await weights.set([]);
      expect(await weights.digest()).toBe(before);
      await weights.set([...set].reverse());
      expect(await weights.digest()).toBe(here);
      seen.add(here);
    }
    expect(seen.size).toBeGreaterThan(1);
    await weights.set([]);
    expect(await weights.digest()).toBe(before);
  } finally {
    await weights.native.dispose();
  }
});

describe.each(['file', 'ram'] as const)('backup %s', (backup) => {
  it('an abort and a file that fails half-way leave the set before exactly', async () => {
    const weights = await load(backup);
    try {
      const [a, b, c, d, e] = makeLoras();
      const original = await weights.digest();
      await weights.set([{ path: a }, { path: d }]);
      const before = await weights.digest();
      expect(before).not.toBe(original);
      const base = `${unet}single_blocks.1.linear2`;
      const random = seeded(1);
      const broken = writeLora(scratch.path('broken.safetensors'), {
        ...lowRank({ [`${unet}${types.f32}`]: [768, 256] }, { seed: 9 }),
        [`${base}.lora_up.weight`]: random([256, 3], 1),
        [`${base}.lora_down.weight`]: random([4, 1280], 1),
      });
      expect((await failure(weights.set([{ path: b }, { path: broken }]))).code).toBe('ERR_MODEL_CORRUPT');
      expect(await weights.digest()).toBe(before);

      const others = (turn: number) => [{ path: b }, { path: c }, { path: e, weight: 1 + turn / 8 }];
      await expectAbortsToKeep(weights, [{ path: a }, { path: d }], others, 1);
      await weights.set([]);
      expect(await weights.digest()).toBe(original);
    } finally {
      await weights.native.dispose();
    }
  });
});
