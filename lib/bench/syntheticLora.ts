import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { DiffusionError } from '../errors/index.js';
import { numberToHalf } from '../model/embedded/half.js';
import { inspectModel } from '../model/index.js';
import { type StreamedTensor, writeSafetensors } from '../model/safetensors/index.js';

/** A linear of a checkpoint as kohya calls it, with its shape [out, in]. */
export interface LoraModule {
  readonly base: string;
  readonly shape: readonly [number, number];
}

/** Linears of attention and feed-forward, of the UNet and of CLIP-L, as single files of Stable Diffusion name them. */
const places: readonly { readonly pattern: RegExp; readonly prefix: string }[] = [
  {
    pattern: /^model\.diffusion_model\.(.*(?:attn\d\.to_(?:q|k|v|out\.0)|ff\.net\.(?:0\.proj|2)))\.weight$/,
    prefix: 'lora_unet_',
  },
  {
    pattern: /^cond_stage_model\.transformer\.(.*(?:self_attn\.\w+_proj|mlp\.fc\d))\.weight$/,
    prefix: 'lora_te_',
  },
];

/** What a LoRA of a checkpoint can change, from its tensors. */
export function loraModules(
  tensors: readonly { readonly name: string; readonly shape: readonly number[] }[],
): LoraModule[] {
  return tensors.flatMap(({ name, shape }) => {
    const [output, input] = shape;
    if (output === undefined || input === undefined) return [];
    for (const { pattern, prefix } of places) {
      const inner = pattern.exec(name)?.[1];
      // A linear may be stored as a 1x1 convolution.
      if (inner !== undefined) return [{ base: prefix + inner.replaceAll('.', '_'), shape: [output, input] as const }];
    }
    return [];
  });
}

/**
 * Writes LoRAs of random numbers for every linear of attention and feed-forward of a checkpoint, one for each seed.
 * @returns their paths and how many modules each has.
 * @throws DiffusionError `ERR_MODEL_UNSUPPORTED` for a checkpoint whose linears are not known here.
 */
export async function writeSyntheticLoras(
  folder: string,
  checkpoint: string | URL,
  rank: number,
  seeds: readonly number[],
  signal: AbortSignal,
): Promise<{ readonly paths: readonly string[]; readonly modules: number }> {
  const { tensors } = await inspectModel(checkpoint, { signal });
  const modules = loraModules(tensors);
  if (modules.length === 0) {
    const hint = 'Give LoRA files of your own: --lora FILE.';
    throw new DiffusionError('ERR_MODEL_UNSUPPORTED', `No LoRA can be made up for this kind of model. ${hint}`, {
      hint,
    });
  }
  const paths: string[] = [];
  for (const seed of seeds) {
    const path = join(folder, `lora${String(seed)}.safetensors`);
    const file = await open(path, 'w');
    try {
      await writeSafetensors(file, loraTensors(modules, rank, seed), { signal, hash: false });
    } finally {
      await file.close();
    }
    paths.push(path);
  }
  return { paths, modules: modules.length };
}

function loraTensors(modules: readonly LoraModule[], rank: number, seed: number): StreamedTensor[] {
  const random = randomHalves(seed);
  return modules.flatMap(({ base, shape: [output, input] }) => [
    { name: `${base}.lora_up.weight`, dtype: 'F16' as const, shape: [output, rank], fill: random },
    { name: `${base}.lora_down.weight`, dtype: 'F16' as const, shape: [rank, input], fill: random },
    // alpha = rank: the product is added as it is.
    { name: `${base}.alpha`, dtype: 'F16' as const, shape: [1], fill: halves(() => rank) },
  ]);
}

/** Uniform numbers in ±0.01 (mulberry32 of Tommy Ettinger), small enough that the model stays itself. */
function randomHalves(seed: number): StreamedTensor['fill'] {
  let state = seed | 0;
  return halves(() => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return (((t ^ (t >>> 14)) >>> 0) / 2 ** 32 - 0.5) * 0.02;
  });
}

function halves(next: () => number): StreamedTensor['fill'] {
  return (out) => {
    const values = new Uint16Array(out.buffer, out.byteOffset, out.byteLength / 2);
    for (let i = 0; i < values.length; i++) values[i] = numberToHalf(next());
  };
}
