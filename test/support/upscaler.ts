import { open } from 'node:fs/promises';
import { type StreamedTensor, writeSafetensors } from '../../lib/model/safetensors/index.js';
import { RandomHalves } from './synthetic/random.js';

/** Widths that the engine takes for granted (`src/esrgan.hpp`). */
const [engineFeatures, growth] = [64, 32];
const kernel = 3;
const one = 0x3c00;

/**
 * `nearest`: weights with which the network repeats every pixel. Its first, last and upsampling convolutions pass the
 * colours on in the first three channels, and its body adds nothing. `random`: seeded, with a gain of about one.
 */
export type UpscalerWeights = 'nearest' | { readonly seed: number };

export interface UpscalerOptions {
  readonly scale: 2 | 4;
  readonly weights: UpscalerWeights;
  /** Default: 1. */
  readonly blocks?: number;
  /** `new`: BasicSR's names, `body.0.rdb1.conv1.weight`; `old`: ESRGAN's, `model.1.sub.0.RDB1.conv1.0.weight`. */
  readonly names?: 'new' | 'old';
  /** Channels inside; the engine takes 64 for granted. Default: 64. */
  readonly features?: number;
  /** A convolution that the file shall lack. */
  readonly leaveOut?: string;
}

interface Convolution {
  readonly name: string;
  readonly input: number;
  readonly output: number;
  /** Passes channels on in a `nearest` network. */
  readonly passes: boolean;
}

/** Writes an ESRGAN model (RRDBNet of BasicSR v1.4.2, `archs/rrdbnet_arch.py`). */
export async function writeUpscaler(path: string, options: UpscalerOptions): Promise<void> {
  const { weights, names = 'new' } = options;
  const rename = names === 'old' ? oldName(options) : (name: string): string => name;
  const random = new RandomHalves(weights === 'nearest' ? 0 : weights.seed);
  let offset = 0;
  const tensors = convolutions(options).flatMap(({ name, input, output, passes }): StreamedTensor[] => {
    const start = offset;
    offset += output * input * kernel ** 2;
    const fill: StreamedTensor['fill'] = (out, first, count) => {
      const target = new Uint16Array(out.buffer, out.byteOffset, out.byteLength / 2);
      if (weights === 'nearest') {
        target.fill(0);
        for (let row = 0; passes && row < count; row++) {
          const channel = first + row;
          if (channel < Math.min(3, input)) target[(row * input + channel) * kernel ** 2 + 4] = one;
        }
      } else {
        const power = Math.round(Math.log2(1 / Math.sqrt(input * kernel ** 2)));
        random.fill(target, start + first * input * kernel ** 2, power);
      }
    };
    const bias: StreamedTensor['fill'] = (out) => void out.fill(0);
    return [
      { name: rename(`${name}.weight`), dtype: 'F16', shape: [output, input, kernel, kernel], fill },
      { name: rename(`${name}.bias`), dtype: 'F16', shape: [output], fill: bias },
    ];
  });
  const file = await open(path, 'w');
  try {
    await writeSafetensors(file, tensors, { hash: false });
  } finally {
    await file.close();
  }
}

function convolutions(options: UpscalerOptions): Convolution[] {
  const { scale, blocks = 1, features = engineFeatures, leaveOut } = options;
  const list: Convolution[] = [{ name: 'conv_first', input: 3, output: features, passes: true }];
  for (let block = 0; block < blocks; block++) {
    for (const dense of [1, 2, 3]) {
      for (const layer of [1, 2, 3, 4, 5]) {
        const input = features + (layer - 1) * growth;
        const output = layer === 5 ? features : growth;
        list.push({
          name: `body.${String(block)}.rdb${String(dense)}.conv${String(layer)}`,
          input,
          output,
          passes: false,
        });
      }
    }
  }
  list.push({ name: 'conv_body', input: features, output: features, passes: false });
  for (const name of scale === 4 ? ['conv_up1', 'conv_up2', 'conv_hr'] : ['conv_up1', 'conv_hr']) {
    list.push({ name, input: features, output: features, passes: true });
  }
  list.push({ name: 'conv_last', input: features, output: 3, passes: true });
  return list.filter(({ name }) => name !== leaveOut);
}

/** Names and shapes of {@link writeUpscaler}'s tensors under BasicSR's names. */
export function upscalerTensors(scale: 2 | 4): { readonly name: string; readonly shape: readonly number[] }[] {
  return convolutions({ scale, weights: 'nearest' }).flatMap(({ name, input, output }) => [
    { name: `${name}.weight`, shape: [output, input, kernel, kernel] },
    { name: `${name}.bias`, shape: [output] },
  ]);
}

/** Names of the models published before BasicSR; the numbers are places in one long sequence of layers. */
function oldName({ scale, blocks = 1 }: UpscalerOptions): (name: string) => string {
  const places: Readonly<Record<string, string>> = {
    conv_first: '0',
    conv_body: `1.sub.${String(blocks)}`,
    conv_up1: '3',
    conv_up2: '6',
    conv_hr: scale === 4 ? '8' : '5',
    conv_last: scale === 4 ? '10' : '7',
  };
  return (name) => {
    const [module = '', ...rest] = name.split('.');
    const place = places[module];
    if (place !== undefined) return `model.${place}.${rest.join('.')}`;
    return name.replace(/^body\.(\d+)\.rdb(\d)\.conv(\d)\./, 'model.1.sub.$1.RDB$2.conv$3.0.');
  };
}
