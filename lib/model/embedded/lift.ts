import type { StreamedTensor } from '../safetensors/index.js';
import { numberToHalf, scaleHalves } from './half.js';
import { ldmUnetName } from './names.js';
import type { NarrowTensor, NarrowWeights } from './narrow.js';
import { constant, type FillRows, padRows, repeatColumns, repeatVector, spreadRows } from './rows.js';

// The narrow network is lifted exactly: channel c becomes the r equal channels c*r … c*r+r-1. Norms, residual sums,
// concatenation, SiLU and GELU hold channel by channel. Of r equal inputs a weight reads the first and has zeros for
// the others, so nothing is divided or rounded. The one exception: heads are r times as wide, so q.k grows r times
// while the scale 1/sqrt(width) shrinks sqrt(r) times, and q is multiplied by 1/sqrt(r).

const textLayers = 12;
const vocabulary = 49408;
const taesdChannels = 64;
const one = numberToHalf(1);

/**
 * Checkpoint with LDM names: `model.diffusion_model.*` and `cond_stage_model.*`; the engine calls it "SD 1.x Tiny
 * UNet".
 */
export function liftedCheckpoint(narrow: NarrowWeights): StreamedTensor[] {
  const unetRatio = Number(narrow.metadata.unet_ratio);
  const textRatio = Number(narrow.metadata.text_ratio);
  const unet = under(narrow, 'unet.').map(([name, tensor]) => liftUnet(name, tensor, unetRatio, textRatio));
  const text = liftText(narrow, textRatio);
  return [...text, ...unet].sort(byName);
}

/** TAESD with the names of diffusers' AutoencoderTiny, which are the engine's as well. */
export function liftedTaesd(narrow: NarrowWeights): StreamedTensor[] {
  const channels = Number(narrow.metadata.tae_channels);
  const lift = (size: number | undefined): number => (size === channels ? taesdChannels : (size ?? 1));
  return under(narrow, 'vae.')
    .map(([name, tensor]) => {
      const [out, input, ...kernel] = tensor.shape;
      const shape = input === undefined ? [lift(out)] : [lift(out), lift(input), ...kernel];
      return half(name, shape, padRows(tensor, shape));
    })
    .sort(byName);
}

function liftUnet(name: string, tensor: NarrowTensor, ratio: number, textRatio: number): StreamedTensor {
  const outRatio = name.startsWith('conv_out.') ? 1 : ratio;
  const inRatio = name.startsWith('conv_in.') ? 1 : /attn2\.to_[kv]\./.test(name) ? textRatio : ratio;
  // time_embedding.linear_1 needs no rule of its own: its inputs are the sinusoids of width d with the frequencies
  // exp(-ln(10000) i / (d/2)), so narrow column i is lifted column i*r in the cosine half and in the sine half alike.
  const query = name.includes('.to_q.');
  return liftDense(
    `model.diffusion_model.${ldmUnetName(name)}`,
    tensor,
    outRatio,
    inRatio,
    query ? 1 / Math.sqrt(ratio) : 1,
  );
}

function liftText(narrow: NarrowWeights, ratio: number): StreamedTensor[] {
  const prefix = 'cond_stage_model.transformer.text_model.';
  const rowOfToken = new Map(Array.from(narrow.tokenIds, (id, row) => [id, row]));
  const layerPattern = /^encoder\.layers\.(\d+)\.(.+)$/;
  const tensors: StreamedTensor[] = [];
  for (const [name, tensor] of under(narrow, 'text_encoder.')) {
    const [rows, width] = [tensor.shape[0] ?? 1, (tensor.shape[1] ?? 1) * ratio];
    const layer = layerPattern.exec(name);
    if (name === 'embeddings.token_embedding.rows') {
      const fill = repeatColumns(tensor, ratio, (id) => rowOfToken.get(id));
      tensors.push(half(`${prefix}embeddings.token_embedding.weight`, [vocabulary, width], fill));
    } else if (name === 'embeddings.position_embedding.weight') {
      tensors.push(half(prefix + name, [rows, width], repeatColumns(tensor, ratio)));
    } else {
      const scale = name.includes('.q_proj.') ? 1 / Math.sqrt(ratio) : 1;
      tensors.push(liftDense(prefix + name, tensor, ratio, ratio, scale));
    }
    // The standard encoder has twelve layers. With out_proj and fc2 at zero the residual passes the unused ones by.
    if (layer?.[1] !== '0') continue;
    const part = layer[2] as string;
    const shape = tensor.shape.map((size) => size * ratio);
    const value = part.startsWith('layer_norm') && part.endsWith('.weight') ? one : 0;
    tensors.push(
      ...unusedLayers(narrow).map((i) => half(`${prefix}encoder.layers.${String(i)}.${part}`, shape, constant(value))),
    );
  }
  return tensors;
}

/** Numbers of the standard encoder's layers that the narrow one does not have. */
function unusedLayers(narrow: NarrowWeights): number[] {
  const has = (i: number): boolean => narrow.tensors.has(`text_encoder.encoder.layers.${String(i)}.layer_norm1.weight`);
  return Array.from({ length: textLayers }, (_, i) => i).filter((i) => !has(i));
}

function liftDense(
  name: string,
  narrow: NarrowTensor,
  outRatio: number,
  inRatio: number,
  scale: number,
): StreamedTensor {
  const tensor = scale === 1 ? narrow : { shape: narrow.shape, data: scaleHalves(narrow.data, scale) };
  const [out = 1, input, ...kernel] = tensor.shape;
  if (input === undefined) return half(name, [out * outRatio], repeatVector(tensor, outRatio));
  return half(name, [out * outRatio, input * inRatio, ...kernel], spreadRows(tensor, outRatio, inRatio));
}

function half(name: string, shape: readonly number[], fill: FillRows): StreamedTensor {
  return { name, dtype: 'F16', shape, fill };
}

function under(narrow: NarrowWeights, prefix: string): [string, NarrowTensor][] {
  return [...narrow.tensors]
    .filter(([name]) => name.startsWith(prefix))
    .map(([name, t]) => [name.slice(prefix.length), t]);
}

/** Code-unit order: the same on every machine, whatever its locale. */
function byName(a: StreamedTensor, b: StreamedTensor): number {
  return a.name < b.name ? -1 : 1;
}
