/** LoRA files as headers only: one low-rank module for every matrix and kernel of a model, in a style of keys. */
import { expect } from 'vitest';
import type { LoraFile } from '../../../lib/weights/loraFile.js';
import { JobScope, type NativeModel, type NativeTensorInfo } from '../../../lib/native/index.js';
import { groupModules } from '../../../lib/weights/keys.js';
import { mapLora } from '../../../lib/weights/mapping.js';
import { TensorIndex } from '../../../lib/weights/tensorIndex.js';
import { diffusersNames, type Family } from './diffusersNames.js';

const unet = 'model.diffusion_model.';
const underscored = (name: string): string => name.replaceAll('.', '_');

interface Style {
  readonly diffusers: boolean;
  /** Name of a module in the file: of the diffusion model, and of a text encoder (1, 2) by its name in transformers. */
  readonly module: (name: string) => string;
  readonly text: (name: string, encoder: number) => string;
  readonly ends: readonly [string, string];
}

const kohya = ['.lora_up.weight', '.lora_down.weight'] as const;
const peft = ['.lora_B.weight', '.lora_A.weight'] as const;
const kohyaText = (name: string, encoder: number): string => `lora_te${String(encoder)}_${underscored(name)}`;
const diffusersText = (name: string, encoder: number): string => `text_encoder${encoder === 2 ? '_2' : ''}.${name}`;
const clip = (name: string, encoder: number): string => `clip_${encoder === 2 ? 'g' : 'l'}.transformer.${name}`;
const style = (diffusers: boolean, module: Style['module'], text: Style['text'], ends: Style['ends']): Style => ({
  ...{ diffusers, module, text, ends },
});

export const keyStyles: Readonly<Record<string, Style>> = {
  'kohya, names of diffusers': style(true, (name) => `lora_unet_${underscored(name)}`, kohyaText, kohya),
  'kohya, names of the original': style(
    false,
    (name) => `lora_unet_${underscored(name)}`,
    (name, encoder) => kohyaText(name, encoder).replace('lora_te1_', 'lora_te_'),
    kohya,
  ),
  LyCORIS: style(
    true,
    (name) => `lycoris_${underscored(name)}`,
    (name, encoder) => kohyaText(name, encoder).replace('lora_te1_', 'lycoris_te1_'),
    kohya,
  ),
  OneTrainer: style(true, (name) => `lora_transformer_${underscored(name)}`, kohyaText, kohya),
  'diffusers, unet': style(true, (name) => `unet.${name}`, diffusersText, peft),
  'diffusers, transformer': style(true, (name) => `transformer.${name}`, diffusersText, peft),
  'PEFT alone': style(true, (name) => `base_model.model.${name}`, diffusersText, peft),
  'ComfyUI, names of diffusers': style(true, (name) => `diffusion_model.${name}`, clip, peft),
  ComfyUI: style(false, (name) => `diffusion_model.${name}`, clip, peft),
  original: style(
    false,
    (name) => unet + name,
    (name, e) => `text_encoders.${clip(name, e)}`,
    kohya,
  ),
};

interface Expected {
  readonly base: string;
  readonly tensor: string;
  readonly rows: number;
  readonly offset: number;
}

/** One module for each part of a tensor. */
function modulesOf({ name, shape }: NativeTensorInfo, family: Family, style: Style): Expected[] {
  const stem = name.replace(/\.weight$/, '');
  const [height = 0, width = 0] = shape;
  let bases: string[];
  if (stem.startsWith(unet)) {
    const own = stem.slice(unet.length);
    bases = (style.diffusers ? diffusersNames(family, own) : [own]).map(style.module);
  } else {
    const encoder = /^cond_stage_model\.1\.|clip_g/.test(stem) ? 2 : 1;
    const own = stem.slice(stem.indexOf('text_model.'));
    const parts = own.endsWith('in_proj') ? ['q_proj', 'k_proj', 'v_proj'] : ['in_proj'];
    bases = parts.map((part) => style.text(own.replace('in_proj', part), encoder));
  }
  // Scale and shift of a modulation without a gate are the other way round in diffusers: the first half comes last.
  if (style.diffusers && stem.endsWith('adaLN_modulation.1') && height === 2 * width) {
    const [base = ''] = bases;
    return [0, width].map((offset) => ({ base, tensor: name, rows: width, offset }));
  }
  let offset = 0;
  return bases.map((base, part) => {
    // Flux's single blocks have the MLP behind the three projections.
    const rows =
      bases.length === 1 ? height : part === 3 ? height - 3 * width : bases.length === 4 ? width : height / 3;
    const expected = { base, tensor: name, rows, offset };
    offset += rows;
    return expected;
  });
}

/** Matrices and kernels of the diffusion model and the text encoders. */
function trained({ name, shape }: NativeTensorInfo): boolean {
  const isPart = name.startsWith(unet) || name.includes('text_model.encoder.');
  return isPart && shape.length > 1 && name.endsWith('.weight') && !/embedding|norm\d?\.weight/.test(name);
}

/** Maps a file with every module in a style, and expects each at its rows of its tensor and none left. */
export async function expectPlaces(native: NativeModel, family: Family, style: Style): Promise<number> {
  const tensors = await native.tensors().promise;
  const wanted = tensors.filter(trained).flatMap((tensor) => modulesOf(tensor, family, style));
  const widths = new Map(tensors.map(({ name, shape }) => [name, shape.slice(1)]));
  const header = (name: string, shape: readonly number[]) => ({ name, dtype: 'F32', shape, offset: 0, bytes: 0 });
  const [up, down] = style.ends;
  const heights = new Map<string, number>();
  for (const { base, rows } of wanted) heights.set(base, (heights.get(base) ?? 0) + rows);
  const firsts = wanted.filter(({ base }, index) => wanted.findIndex((other) => other.base === base) === index);
  const headers = firsts.flatMap(({ base, tensor }) => [
    header(base + up, [heights.get(base) ?? 0, 1]),
    header(base + down, [1, ...(widths.get(tensor) ?? [])]),
  ]);
  const identity = { path: '', sha256: '', shortHash: '', stamp: '', metadata: {}, scalars: new Map() };
  const file: LoraFile = { ...identity, ...groupModules(headers) };
  const scope = new JobScope(new AbortController().signal);
  const mapped = await mapLora(file, new TensorIndex(tensors), native, scope);
  await scope.idle();
  expect(mapped.unmatchedKeys).toEqual([]);
  const found = mapped.deltas.map(({ base, tensor, delta }) => ({
    ...{ base, tensor: tensor.name, rows: delta.rows, offset: delta.rowOffset },
  }));
  expect(found).toEqual(wanted);
  expect(heights.size).toBe(file.modules.length);
  return heights.size;
}
