import type { NativeTensorInfo, NativeWeightsPlan } from '../../lib/native/contract.js';
import type { LoraInput } from '../../lib/index.js';
import { componentOf, type ComponentOf } from '../../lib/weights/tensorIndex.js';
import type { FakeAddon, FakeCall } from './fakeAddon.js';
import { lowRank, writeLora } from './lora/files.js';

// LoRAs of a fake addon: two small files, and what of them is in the weights.

const unet = 'input_blocks.1.1.transformer_blocks.0.attn1.to_out.0';
const text = 'encoder.layers.0.mlp.fc1';
const modules = {
  [`lora_unet_${unet.replaceAll('.', '_')}`]: [8, 4],
  [`lora_te_text_model_${text.replaceAll('.', '_')}`]: [6, 4],
} as const;

/** A tensor of the diffusion model and one of the text encoder, which the files of {@link writeLoras} change. */
export const loraTensors: readonly NativeTensorInfo[] = [
  { name: `model.diffusion_model.${unet}.weight`, type: 'f16', shape: [8, 4] },
  { name: `cond_stage_model.transformer.text_model.${text}.weight`, type: 'f16', shape: [6, 4] },
];

/** Writes a LoRA of each name and gives their paths. */
export function writeLoras<Name extends string>(
  names: readonly Name[],
  path: (file: string) => string,
): Readonly<Record<Name, string>> {
  const files = names.map((name, index) => {
    const file = path(`${name}.safetensors`);
    return [name, writeLora(file, lowRank(modules, { seed: index + 1 }))] as const;
  });
  return Object.fromEntries(files) as Record<Name, string>;
}

/** A set as {@link replay} tells of it: `one*0.5+two*1`; `none`: no LoRA. */
export function setText(list: readonly LoraInput[]): string {
  return joined(list.map(({ path = '', weight = 1 }) => part(String(path), weight)));
}

/** Which LoRAs were in the weights of both parts at a sampling. */
export interface InWeights {
  readonly diffusionModel: string;
  /** When its prompts were encoded, the negative one as well. */
  readonly textEncoder: readonly string[];
}

/**
 * Goes through the calls in order and keeps a book of what each model's weights hold, from nothing when it is loaded;
 * calls that failed or were stopped have changed nothing. Gives the state at every sampling.
 */
export function replay({ calls, conditionings }: FakeAddon): InWeights[] {
  const books = new Map<number, Map<string, string>>();
  const encoded = new Map<unknown, string>();
  const found: InWeights[] = [];
  let made = 0;
  const read = (model: number, of: ComponentOf): string =>
    [...(books.get(model) ?? [])].find(([tensor]) => componentOf(tensor) === of)?.[1] ?? 'none';
  for (const { op, params, model, done } of calls) {
    if (op === 'applyRuntime') throw new Error('These weights are not quantised');
    if (op === 'applyWeights' && done) book(books, model, params as NativeWeightsPlan);
    if (op === 'encodePrompt' && done) encoded.set(conditionings[made++], read(model, 'textEncoder'));
    if (op !== 'sample') continue;
    const { cond, uncond } = params as FakeCall<'sample'>['params'];
    const prompts = uncond === null ? [cond] : [cond, uncond];
    const textEncoder = prompts.map((one) => encoded.get(one) ?? 'of nobody');
    found.push({ diffusionModel: read(model, 'diffusionModel'), textEncoder });
  }
  return found;
}

function book(books: Map<number, Map<string, string>>, model: number, { files, targets }: NativeWeightsPlan): void {
  const own = books.get(model) ?? new Map<string, string>();
  for (const { tensor, deltas } of targets)
    own.set(tensor, joined(deltas.map(({ file, multiplier }) => part(files[file]?.path ?? '', multiplier))));
  books.set(model, own);
}

function part(path: string, weight: number): string {
  return `${path.replace(/^.*\/(\w+)\.safetensors$/, '$1')}*${String(weight)}`;
}

function joined(parts: readonly string[]): string {
  return parts.length === 0 ? 'none' : [...parts].sort().join('+');
}
