import { copyFile, stat, truncate } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { createRuntime, inspectModel } from '../../lib/index.js';
import { lowRank, writeLora } from '../support/lora/files.js';
import { errorOf, randomSets } from '../support/lora/sets.js';
import { failure } from '../support/native.js';
import { useScratch } from '../support/scratch.js';
import { syntheticBytes, type SyntheticKind, writeSynthetic } from '../support/synthetic/index.js';

/** Matrices of attention and of what feeds forward, as UNets and transformers name them. */
const layers = /^model\.diffusion_model\..*(?:attn|mlp|linear|\.ff\.).*\.weight$/;
const turns = 200;
/** Every stored type in a UNet of SDXL. */
const mixed = {
  '^model\\.diffusion_model\\.input_blocks\\.4': 'f32',
  '^model\\.diffusion_model\\.input_blocks\\.5': 'bf16',
  '^model\\.diffusion_model\\.input_blocks\\.7': 'q8_0',
  '^model\\.diffusion_model\\.input_blocks\\.8': 'q4_K',
} as const;

/** Five files of twelve modules each, drawn from the checkpoint. */
async function makeLoras(checkpoint: string, path: (name: string) => string): Promise<string[]> {
  const matrices = (await inspectModel(checkpoint)).tensors.filter(
    ({ name, shape }) => shape.length === 2 && layers.test(name),
  );
  expect(matrices.length).toBeGreaterThan(12);
  return Array.from({ length: 5 }, (_, file) => {
    const chosen = Array.from({ length: 12 }, (__, k) => matrices[(file * 7 + k * 5) % matrices.length]);
    const modules = Object.fromEntries(
      chosen
        .filter((tensor) => tensor !== undefined)
        .map(({ name, shape: [output = 0, input = 0] }) => [name.replace(/\.weight$/, ''), [output, input] as const]),
    );
    return writeLora(path(`${String(file)}.safetensors`), lowRank(modules, { seed: file + 1, rank: 8 }));
  });
}

describe.each([
  ['sd1', {}],
  ['sdxl', {}],
  ['sdxl', { tensorTypeRules: mixed }],
  ['sdxl', { weightType: 'q8_0' }],
  ['flux-narrow', {}],
] as const satisfies readonly (readonly [SyntheticKind, object])[])('a synthetic %s, %o', (kind, options) => {
  const scratch = useScratch(syntheticBytes(kind) * 1.05 + 2 ** 28);

  it.each(['file', 'ram'] as const)(
    'has its own bytes again after 1, 2 and 200 random sets, a failed and an aborted one, backup %s',
    async (backup) => {
      const checkpoint = scratch.path('model.safetensors');
      await writeSynthetic(kind, checkpoint, { seed: 3 });
      const paths = await makeLoras(checkpoint, (name) => scratch.path(name));
      const runtime = await createRuntime({ backend: 'cpu' });
      try {
        const model = await runtime.loadModel({ checkpoint, ...options, loraBackup: backup, loraMode: 'merge' });
        const digest = async () => (await model.weightsDigest()).sha256;
        const before = await digest();
        const next = randomSets(paths, backup === 'file' ? 1 : 2);
        const seen = new Set<string>();
        for (let turn = 1; turn <= turns; turn++) {
          const set = next();
          await model.loras.set(set);
          if (turn > 2 && turn < turns) continue;
          const here = await digest();
          await model.loras.set([]);
          expect(await digest()).toBe(before);
          await model.loras.set([...set].reverse());
          expect(await digest()).toBe(here);
          seen.add(here);
        }
        expect(seen.size).toBeGreaterThan(1);

        const [first = '', ...others] = paths;
        await model.loras.set([{ path: first }]);
        const held = await digest();
        expect(held).not.toBe(before);
        const broken = scratch.path('broken.safetensors');
        await copyFile(first, broken);
        await truncate(broken, Math.floor((await stat(broken)).size / 2));
        expect((await failure(model.loras.set([...others, broken].map((path) => ({ path }))))).code).toBe(
          'ERR_MODEL_CORRUPT',
        );
        expect(await digest()).toBe(held);
        const all = others.map((path) => ({ path }));
        const started = performance.now();
        await model.loras.set(all);
        const whole = performance.now() - started;
        let aborted = 0;
        for (const part of [0.2, 0.4, 0.6, 0.8]) {
          await model.loras.set([{ path: first }]);
          const signal = AbortSignal.timeout(Math.max(1, Math.floor(part * whole)));
          const error = await errorOf(model.loras.set(all, { signal }));
          if (error === undefined) continue;
          expect(error).toBe(signal.reason);
          expect(await digest()).toBe(held);
          aborted++;
        }
        expect(aborted).toBeGreaterThan(0);
        await model.loras.set([]);
        expect(await digest()).toBe(before);
      } finally {
        await runtime.dispose();
      }
    },
  );
});
