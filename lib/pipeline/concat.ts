import { invalidOption } from '../errors/index.js';
import type { NativeTensor } from '../native/index.js';
import type { ModelFacts } from './facts.js';
import type { Latent } from './latent.js';
import { ignored } from './sampling.js';

/** Own values of what inpaint, edit and control models read beside the latent. */
export interface GivenConcat {
  readonly concat?: Float32Array | undefined;
  readonly uncondConcat?: Float32Array | undefined;
}

export const concatFields = ['concat', 'uncondConcat'] as const;

/** Refuses values for a model that reads none, or of another size. */
export function checkConcat(given: GivenConcat, latent: Latent, facts: ModelFacts): void {
  const { concatChannels: channels } = facts;
  const [, , height, width] = latent.shape;
  for (const field of concatFields) {
    const values = given[field];
    if (values === undefined) continue;
    if (channels === 0) throw ignored(field, values, facts, 'inpaint, edit and control models');
    const length = channels * height * width;
    if (values.length === length) continue;
    const sizes = `${String(channels)} channels x ${String(height)} x ${String(width)}`;
    throw invalidOption(
      field,
      `${String(values.length)} numbers`,
      `${String(length)} numbers: ${sizes}`,
      'Take the channels from model.info.concatChannels and the size from the latent.',
    );
  }
}

/** Given values in place of those of a request without pictures, each on its own. */
export function withConcat<T extends Readonly<Record<(typeof concatFields)[number], NativeTensor | null>>>(
  plain: T,
  { concat, uncondConcat }: GivenConcat,
): T {
  const replace = (tensor: NativeTensor | null, data: Float32Array | undefined): NativeTensor | null =>
    tensor === null || data === undefined ? tensor : { shape: tensor.shape, data };
  return { ...plain, concat: replace(plain.concat, concat), uncondConcat: replace(plain.uncondConcat, uncondConcat) };
}
