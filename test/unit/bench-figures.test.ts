import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  commits,
  comparePictures,
  describeMachine,
  goal,
  interleave,
  median,
  ratioRow,
  row,
} from '../../lib/bench/index.js';
import { sdCliFlags, sdCliLoad } from '../../lib/bench/peers/sdCliFlags.js';
import { sdCliDevice } from '../../lib/bench/peers/device.js';
import { writeSyntheticLoras } from '../../lib/bench/index.js';
import { inspectModel } from '../../lib/model/index.js';
import { writeSafetensors } from '../../lib/model/safetensors/index.js';

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'nd-bench-figures-'));
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

describe('statistics', () => {
  it('take the middle, or the mean of the two in the middle', () => {
    expect([median([9, 1, 2]), median([4, 1, 9, 2]), median([])]).toEqual([2, 3, NaN]);
    expect(row('a', 'ms', [3, 1, 2])).toMatchObject({ median: 2, min: 1, max: 3 });
  });

  it('take the median of the ratios of pairs, not the ratio of the medians', () => {
    // Both sides were slow in the second turn; medians alone would say 1 / 2.
    expect(ratioRow('r', [1, 10, 1], [2, 20, 4]).values).toEqual([0.5, 0.5, 0.25]);
    expect(ratioRow('r', [1, 30, 3], [2, 3, 30]).median).toBe(0.5);
  });

  it('turn the order round every time', async () => {
    const order: string[] = [];
    const side = (name: string) => async () => order.push(name);
    const results = await interleave(3, [side('a'), side('b')]);
    expect(order.join('')).toBe('abbaab');
    expect(results).toEqual([
      [1, 4, 5],
      [2, 3, 6],
    ]);
  });

  it('hold goals in both directions', () => {
    expect([goal('g', 2, '<=', 2, 'x').met, goal('g', 2.1, '<=', 2, 'x').met, goal('g', 1, '>=', 2, 'x').met]).toEqual([
      ...[true, false, false],
    ]);
  });
});

describe('pictures', () => {
  const grey = (level: number, width = 4) => ({ width, height: 4, data: new Uint8Array(width * 12).fill(level) });

  it('are the same, near, or another drawing', () => {
    expect(comparePictures('s', 'peer', grey(9), grey(9))).toContain('the same pixels');
    // One level apart everywhere: 20 log10(255) = 48.13 dB.
    expect(comparePictures('s', 'peer', grey(9), grey(10))).toContain('within 48.1 dB');
    expect(comparePictures('s', 'peer', grey(9), grey(200))).toContain('WARNING');
    expect(comparePictures('s', 'peer', grey(9), grey(9, 8))).toContain('another size');
  });
});

describe('commits', () => {
  const versions = { engine: 'e', engineCommit: 'ec', ggml: 'g', ggmlCommit: 'gc' };

  it("are ours in our checkout, and none inside somebody else's repository", () => {
    const git = (...args: string[]) =>
      execFileSync('git', ['-c', 'user.name=a', '-c', 'user.email=b', ...args], { cwd: folder });
    git('init', '-q');
    git('commit', '-q', '--allow-empty', '-m', 'theirs');
    const inside = join(folder, 'node_modules', 'node-diffusion');
    mkdirSync(inside, { recursive: true });
    expect(commits(versions, inside)).toEqual({ ...versions, head: null, dirty: false });
    expect(commits(versions, folder).head).toMatch(/^[0-9a-f]{40}$/);
  });
});

describe('a machine', () => {
  const epyc = (model: number, stepping = 1) =>
    [
      'processor\t: 0',
      'cpu family\t: 25',
      `model\t\t: ${String(model)}`,
      'model name\t: AMD EPYC',
      `stepping\t: ${String(stepping)}`,
    ].join('\n');

  it('is another one when only the numbers of its processor differ', () => {
    const machine = describeMachine(`${epyc(17)}\n\n${epyc(17)}\n`);
    expect(machine.processor).toBe('family 25 model 17 stepping 1');
    expect(describeMachine(epyc(17)).id).toBe(machine.id);
    expect(describeMachine(epyc(1)).id).not.toBe(machine.id);
    expect(describeMachine(epyc(17, 2)).id).not.toBe(machine.id);
    const arm = 'processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd40\nCPU revision\t: 1\n';
    expect(describeMachine(arm).processor).toBe('implementer 0x41 part 0xd40 revision 1');
  });
});

describe('sd-cli', () => {
  it('has no options but those that have a flag, and says so with a code', () => {
    const refused = (work: () => unknown) =>
      expect(work).toThrow(expect.objectContaining({ code: 'ERR_INVALID_OPTION' }));
    refused(() => sdCliLoad({ convolutionType: 'f32' }));
    refused(() => sdCliLoad({ ofTomorrow: true } as never));
    refused(() => sdCliFlags({}, { prompt: '', ofTomorrow: 1 } as never));
    const load = { checkpoint: 'x', convolutionType: 'f16', conditioningCacheBytes: 0, ofTomorrow: undefined } as const;
    expect(sdCliFlags(sdCliLoad(load), { prompt: 'p' })).toEqual(['--model', 'x', '--prompt', 'p']);
  });

  it.each([
    ['CPU', ['[DEBUG] x.hpp:108  - Initializing backend: CPU', '[DEBUG] util.cpp:757  - Using CPU backend']],
    ['Vulkan0', ['[DEBUG] x.hpp:108  - Initializing backend: Vulkan0', '[INFO ] y.cpp:387  - CLIP: Using CPU backend']],
    ['CPU', ['[DEBUG] x.hpp:108  - Initializing backend: CUDA0', '[DEBUG] util.cpp:757  - Using CPU backend']],
    ['CUDA', ['[DEBUG] y.cpp:160  - Using CUDA backend']],
    [null, ['[INFO ] y.cpp:213  - loading model from x']],
  ])('computed on %s by its log', (device, lines) => {
    expect(sdCliDevice(lines.map((line) => ({ time: 0, line })))).toBe(device);
  });
});

describe('LoRAs that are made up', () => {
  const zeros = (name: string, shape: number[]) => ({
    ...{ name, dtype: 'F16' as const, shape },
    fill: (out: Uint8Array) => void out.fill(0),
  });
  const write = async (name: string, tensors: ReturnType<typeof zeros>[]) => {
    const path = join(folder, name);
    const file = await open(path, 'w');
    await writeSafetensors(file, tensors);
    await file.close();
    return path;
  };
  const { signal } = new AbortController();

  it('have a pair of matrices for every linear of attention and feed-forward', async () => {
    const checkpoint = await write('model.safetensors', [
      zeros('model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn1.to_q.weight', [8, 6]),
      zeros('model.diffusion_model.input_blocks.1.0.in_layers.0.weight', [8]),
      zeros('cond_stage_model.transformer.text_model.encoder.layers.0.mlp.fc1.weight', [10, 4]),
    ]);
    const { paths, modules } = await writeSyntheticLoras(folder, checkpoint, 2, [1, 2], signal);
    expect([paths.length, modules]).toEqual([2, 2]);
    const { kind, tensors } = await inspectModel(paths[0] ?? '');
    expect(kind).toBe('lora');
    expect(Object.fromEntries(tensors.map(({ name, shape }) => [name, shape]))).toMatchObject({
      'lora_unet_input_blocks_1_1_transformer_blocks_0_attn1_to_q.lora_up.weight': [8, 2],
      'lora_unet_input_blocks_1_1_transformer_blocks_0_attn1_to_q.lora_down.weight': [2, 6],
      'lora_te_text_model_encoder_layers_0_mlp_fc1.lora_up.weight': [10, 2],
    });
  });

  it('are refused for a model whose linears are not known', async () => {
    const checkpoint = await write('other.safetensors', [zeros('double_blocks.0.img_attn.qkv.weight', [8, 8])]);
    await expect(writeSyntheticLoras(folder, checkpoint, 2, [1], signal)).rejects.toMatchObject({
      code: 'ERR_MODEL_UNSUPPORTED',
      hint: 'Give LoRA files of your own: --lora FILE.',
    });
  });
});
