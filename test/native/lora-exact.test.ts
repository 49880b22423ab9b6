import { copyFile, open, rename, utimes, writeFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { ensureEmbeddedModel } from '../../lib/model/index.js';
import type { LoraBackup } from '../../lib/weights/index.js';
import { type Part, lowRank, seeded, writeLora } from '../support/lora/files.js';
import { expectAbortsToKeep, randomSets } from '../support/lora/sets.js';
import { RawWeights } from '../support/lora/weights.js';
import { collectGarbage, failure } from '../support/native.js';
import { useScratch } from '../support/scratch.js';

// Every stored type in blocks of its own, so that one model shows them all.
const tensorTypeRules = [
  ...[
    'input_blocks\\.1\\.=f32',
    'output_blocks\\.7\\.=bf16',
    'input_blocks\\.4\\.=q8_0',
    'layers\\.0\\.self_attn\\.q_proj=q4_K',
  ],
].join(',');
const blocks = ['input_blocks.1', 'output_blocks.7', 'output_blocks.6', 'input_blocks.4'];
const scratch = useScratch(2 ** 30);
const unet = 'model.diffusion_model.';

/** Five files: low rank on every type and on the text encoder, a full difference, and one of another kind. */
function makeLoras(weights: RawWeights): string[] {
  const shapeOf = (module: string): readonly [number, number] => {
    const [output = 0, input = 0] = weights.info(`${module}.weight`).shape;
    return [output, input];
  };
  const attention = (block: string, name: string): string => `${unet}${block}.1.transformer_blocks.0.attn1.${name}`;
  const modules = (names: readonly string[]): Record<string, readonly [number, number]> =>
    Object.fromEntries(
      blocks.flatMap((block) => names.map((name) => [attention(block, name), shapeOf(attention(block, name))])),
    );
  const text = 'cond_stage_model.transformer.text_model.encoder.layers.0.self_attn.q_proj';
  const random = seeded(11);
  const file = (name: string, tensors: Record<string, Part>): string => writeLora(scratch.path(name), tensors);
  const [rows, columns] = shapeOf(attention('output_blocks.6', 'to_k'));
  expect(weights.info(`${text}.weight`).type).toBe('q4_K');
  return [
    file('a.safetensors', lowRank(modules(['to_q', 'to_k']), { seed: 1 })),
    file('b.safetensors', lowRank({ ...modules(['to_k', 'to_v']), [text]: shapeOf(text) }, { seed: 2, rank: 16 })),
    file('c.safetensors', lowRank(modules(['to_q']), { seed: 3, rank: 1 })),
    file('d.safetensors', {
      [`${attention('output_blocks.6', 'to_k')}.diff`]: random([rows, columns], 0.01),
      [`${unet}output_blocks.6.1.proj_in.diff_b`]: random([rows], 0.1),
    }),
    file('e.safetensors', {
      [`${attention('output_blocks.7', 'to_q')}.oft_blocks`]: random(
        [shapeOf(attention('output_blocks.7', 'to_q'))[0] / 4, 4, 4],
        0.05,
      ),
      [`${attention('input_blocks.4', 'to_q')}.weight`]: random(
        [shapeOf(attention('input_blocks.4', 'to_q'))[0], 1],
        0.1,
      ),
      [`${attention('input_blocks.4', 'to_q')}.on_input`]: random([1], 0),
    }),
  ];
}

/** Resident MiB, all garbage collected. */
async function resident(): Promise<number> {
  await collectGarbage();
  return Math.round(process.memoryUsage.rss() / 2 ** 20);
}

const load = (backup: LoraBackup, cacheBytes = 0, checkpoint?: () => Promise<string>): Promise<RawWeights> =>
  RawWeights.load({ tensorTypeRules, backup, cacheBytes, ...(checkpoint === undefined ? {} : { checkpoint }) });

/** `npm run test:loras -- 10000` runs many more. */
const turns = Number(process.env.NODE_DIFFUSION_TEST_LORA_SETS ?? 200);

describe.each([
  ['file', 0],
  ['file', 2 ** 24],
  ['ram', 2 ** 21],
] as const)('backup %s with %i bytes of cache', (backup, cacheBytes) => {
  it('the digest after 1, 2 and many random sets of up to five LoRAs is the one before', async () => {
    const weights = await load(backup, cacheBytes);
    try {
      const paths = makeLoras(weights);
      const before = await weights.digest();
      const next = randomSets(paths, 5);
      const seen = new Map<string, string>();
      let changed = 0;
      let early = 0;
      for (let turn = 1; turn <= turns; turn++) {
        const set = next();
        const report = await weights.set(set);
        changed += report.tensors > 0 ? 1 : 0;
        if (turn === Math.round(turns / 10)) early = await resident();
        if (turn > 2 && turn < turns) continue;
        // The same set by another way gives the same bytes.
        const key = JSON.stringify(set);
        const here = await weights.digest();
        await weights.set([]);
        expect(await weights.digest()).toBe(before);
        await weights.set([...set].reverse());
        expect(await weights.digest()).toBe(here);
        seen.set(key, here);
      }
      expect(changed).toBeGreaterThan(turns / 2);
      expect(new Set(seen.values()).size).toBeGreaterThan(1);
      await weights.set([]);
      expect(await weights.digest()).toBe(before);
      const memory = await weights.native.weightsMemory().promise;
      expect(memory).toMatchObject({ ramBackup: 0, deviceBackup: 0, changedTensors: 0 });
      const late = await resident();
      process.stdout.write(`${String(turns)} sets: ${String(early)} MiB after a tenth, ${String(late)} at the end\n`);
      // The heaps of V8 and of the test's own tools breathe by some MiB; a set that leaves 10 kB would be seen in 10,000.
      if (turns >= 1000) expect(late).toBeLessThan(early * 1.02);
    } finally {
      await weights.native.dispose();
    }
  });

  it('an abort and a file that fails half-way leave the set before exactly', async () => {
    const weights = await load(backup, cacheBytes);
    try {
      const paths = makeLoras(weights);
      const [a = '', b = '', c = '', d = '', e = ''] = paths;
      const original = await weights.digest();
      await weights.set([{ path: a }, { path: d }]);
      const before = await weights.digest();
      expect(before).not.toBe(original);

      // A rank that contradicts the header is seen when the first tensors are merged already.
      const broken = scratch.path('broken.safetensors');
      const base = `${unet}output_blocks.0.1.transformer_blocks.0.attn1.to_out.0`;
      const [output = 0, input = 0] = weights.info(`${base}.weight`).shape;
      const random = seeded(1);
      writeLora(broken, {
        ...lowRank({ [`${unet}output_blocks.1.1.transformer_blocks.0.attn1.to_v`]: [output, input] }, { seed: 9 }),
        [`${base}.lora_up.weight`]: random([output, 3], 1),
        [`${base}.lora_down.weight`]: random([4, input], 1),
      });
      expect((await failure(weights.set([{ path: b }, { path: broken }]))).code).toBe('ERR_MODEL_CORRUPT');
      expect(await weights.digest()).toBe(before);

      const others = (turn: number) => [{ path: b }, { path: c }, { path: e, weight: 1 + turn / 8 }];
      await expectAbortsToKeep(weights, [{ path: a }, { path: d }], others, 4);
      await weights.set([]);
      expect(await weights.digest()).toBe(original);
    } finally {
      await weights.native.dispose();
    }
  });
});

describe('the checkpoint on disk', () => {
  const copy = async (): Promise<string> => {
    const path = scratch.path('copy.safetensors');
    await copyFile((await ensureEmbeddedModel()).checkpoint, path);
    return path;
  };

  it('touched or moved away and back with the same bytes is the same; with others it is refused untouched', async () => {
    const weights = await load('file', 0, copy);
    try {
      const path = scratch.path('copy.safetensors');
      const [a = '', b = ''] = makeLoras(weights);
      const original = await weights.digest();
      await weights.set([{ path: a }]);
      const merged = await weights.digest();
      await utimes(path, new Date(), new Date(1e12));
      await weights.set([{ path: b }]);
      await weights.set([{ path: a }]);
      expect(await weights.digest()).toBe(merged);

      const aside = scratch.path('aside.safetensors');
      await rename(path, aside);
      const gone = await failure(weights.set([]));
      expect(gone.code).toBe('ERR_MODEL_CHANGED');
      expect(gone.message).toContain('ram');
      expect(await weights.digest()).toBe(merged);
      await rename(aside, path);

      // All over the file, so that whichever tensor is read, it is another.
      const file = await open(path, 'r+');
      const { size } = await file.stat();
      for (let at = size - 2; at > size / 64; at -= 65_536) await file.write(Buffer.of(0x11), 0, 1, at);
      await file.close();
      expect((await failure(weights.set([]))).code).toBe('ERR_MODEL_CHANGED');
      expect((await failure(weights.set([{ path: b }]))).code).toBe('ERR_MODEL_CHANGED');
      expect(await weights.digest()).toBe(merged);

      await copyFile((await ensureEmbeddedModel()).checkpoint, path);
      await weights.set([]);
      expect(await weights.digest()).toBe(original);
    } finally {
      await weights.native.dispose();
    }
  });

  it('backups in memory do without it; releaseBackups gives them up only where the file has the same bytes', async () => {
    const weights = await load('ram', 0, copy);
    try {
      const path = scratch.path('copy.safetensors');
      const [a = '', b = ''] = makeLoras(weights);
      const original = await weights.digest();
      await weights.set([{ path: a }]);
      const { ramBackup } = await weights.native.weightsMemory().promise;
      expect(ramBackup).toBeGreaterThan(0);
      expect(await weights.native.releaseBackups(true).promise).toBe(ramBackup);
      expect((await weights.native.weightsMemory().promise).ramBackup).toBe(0);
      await weights.set([]);
      expect(await weights.digest()).toBe(original);

      await weights.set([{ path: b }]);
      await writeFile(path, 'gone');
      expect(await weights.native.releaseBackups(true).promise).toBe(0);
      await weights.set([]);
      expect(await weights.digest()).toBe(original);
    } finally {
      await weights.native.dispose();
    }
  });
});

it('merged tensors that are kept come back without being computed, and stay while they are in use', async () => {
  const weights = await load('file', 2 ** 28);
  try {
    const [a = '', b = ''] = makeLoras(weights);
    const original = await weights.digest();
    await weights.set([{ path: a }]);
    const merged = await weights.digest();
    await weights.set([{ path: b }]);
    const { cache } = await weights.native.weightsMemory().promise;
    expect(cache).toBeGreaterThan(0);
    const report = await weights.set([{ path: a }]);
    expect(report).toMatchObject({ merged: 0 });
    expect(report.copied).toBeGreaterThan(0);
    expect(await weights.digest()).toBe(merged);
    await weights.native.releaseBackups(false).promise;
    expect(await weights.digest()).toBe(merged);
    await weights.set([]);
    expect(await weights.digest()).toBe(original);
    expect(await weights.native.releaseBackups(false).promise).toBeGreaterThan(0);
    expect((await weights.native.weightsMemory().promise).cache).toBe(0);
    expect(await weights.set([{ path: a }])).toMatchObject({ copied: 0 });
    expect(await weights.digest()).toBe(merged);
  } finally {
    await weights.native.dispose();
  }
});
