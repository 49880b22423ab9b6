import { open } from 'node:fs/promises';
import { halfToNumber, numberToHalf } from '../../lib/model/embedded/half.js';
import { liftedCheckpoint } from '../../lib/model/embedded/lift.js';
import { type NarrowTensor, type NarrowWeights, readNarrow } from '../../lib/model/embedded/narrow.js';
import { writeSafetensors } from '../../lib/model/safetensors/index.js';
import { RandomHalves } from '../support/synthetic/random.js';
import { syntheticTensors, type SyntheticTensor, writeTensors } from '../support/synthetic/index.js';

/** Second checkpoints that `diffusers/seeded.py` makes as well, from a seed and the names of the tensors. */

/** Of the embedded model: each weight of the narrow UNet times 1 + amount * a number of deviation one. */
export interface Perturbation {
  readonly seed: number;
  readonly amount: number;
}

/** Of an SDXL-Vega: the deviation of a tensor is multiplied by the gain of the last entry that is part of its name. */
export interface Synthesis {
  readonly seed: number;
  readonly gains: readonly (readonly [part: string, gain: number])[];
}

/** FNV-1a of the name, 32 bit: where a tensor's values begin in the run of random ones. */
function placeOf(name: string): number {
  let value = 0x811c9dc5;
  for (const byte of Buffer.from(name)) value = Math.imul(value ^ byte, 0x01000193);
  return value >>> 0;
}

/** Writes the embedded model's checkpoint with a perturbed UNet, 893 MB. */
export async function writePerturbed(path: string, { seed, amount }: Perturbation): Promise<void> {
  const narrow = await readNarrow();
  const random = new RandomHalves(seed);
  const perturbed = (name: string, tensor: NarrowTensor): NarrowTensor => {
    if (!name.startsWith('unet.') || tensor.shape.length < 2) return tensor;
    const factors = new Uint16Array(tensor.data.length);
    random.fill(factors, placeOf(name), 0);
    const data = tensor.data.map((bits, index) =>
      numberToHalf(halfToNumber(bits) * (1 + amount * halfToNumber(factors[index] ?? 0))),
    );
    return { shape: tensor.shape, data };
  };
  const tensors: NarrowWeights['tensors'] = new Map(
    [...narrow.tensors].map(([name, tensor]) => [name, perturbed(name, tensor)]),
  );
  const file = await open(path, 'w');
  try {
    await writeSafetensors(file, liftedCheckpoint({ ...narrow, tensors }), { hash: false });
  } finally {
    await file.close();
  }
}

/** Writes a whole SDXL-Vega checkpoint of seeded weights, text encoders under the names of transformers, 3.3 GB. */
export async function writeSeededSdxl(path: string, { seed, gains }: Synthesis): Promise<void> {
  const seeded = (tensor: SyntheticTensor): SyntheticTensor => {
    const [, gain] = gains.filter(([part]) => tensor.name.includes(part)).at(-1) ?? ['', 1];
    const { values } = tensor;
    const scaled = 'fanIn' in values ? { fanIn: values.fanIn / gain ** 2 } : values;
    return { ...tensor, values: scaled, start: placeOf(tensor.name) };
  };
  await writeTensors(path, syntheticTensors('sdxl-vega-hf').map(seeded), seed);
}
