import { describe, expect, it } from 'vitest';
import { createRuntime, inspectModel, type LoraInput } from '../../lib/index.js';
import { lowRank, seeded, writeLora } from '../support/lora/files.js';
import { useScratch } from '../support/scratch.js';
import { syntheticBytes, type SyntheticKind, writeSynthetic } from '../support/synthetic/index.js';

/** Matrices of attention and of what feeds forward, as UNets and transformers name them. */
const layers = /^model\.diffusion_model\..*(?:attn|mlp|linear|\.ff\.).*\.weight$/;
const turns = 12;

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
  ['sdxl', { weightType: 'q8_0' }],
  ['flux-narrow', {}],
] as const satisfies readonly (readonly [SyntheticKind, object])[])('a synthetic %s, %o', (kind, options) => {
  const scratch = useScratch(syntheticBytes(kind) * 1.05 + 2 ** 28);

  it.each(['file', 'ram'] as const)('has its own bytes again after random sets of LoRAs, backup %s', async (backup) => {
    const checkpoint = scratch.path('model.safetensors');
    await writeSynthetic(kind, checkpoint, { seed: 3 });
    const paths = await makeLoras(checkpoint, (name) => scratch.path(name));
    const runtime = await createRuntime({ backend: 'cpu' });
    try {
      const model = await runtime.loadModel({ checkpoint, ...options, loraBackup: backup, loraMode: 'merge' });
      const digest = async () => (await model.weightsDigest()).sha256;
      const before = await digest();
      const random = seeded(backup === 'file' ? 1 : 2);
      const uniform = () => Math.abs(random([1], 0.5).data[0] ?? 0);
      const seen = new Set<string>();
      for (let turn = 0; turn < turns; turn++) {
        const all: LoraInput[] = paths.map((path) => ({ path, weight: 0.25 + uniform() }));
        const set = all.filter(() => uniform() < 0.4);
        const report = await model.loras.set(set);
        expect(report.tensors > 0 || set.length === 0 || turn > 0).toBe(true);
        if (turn % 4 === 3) seen.add(await digest());
      }
      await model.loras.set(paths.map((path) => ({ path })));
      seen.add(await digest());
      expect(seen.size).toBeGreaterThan(2);
      expect(seen).not.toContain(before);
      await model.loras.set([]);
      expect(await digest()).toBe(before);
    } finally {
      await runtime.dispose();
    }
  });
});
