import { invalidOption } from '../errors/index.js';
import {
  arrayOf,
  checker,
  filePath,
  integer,
  number,
  object,
  optional,
  recordOf,
  text,
  union,
} from '../options/index.js';
import type { LoraDirectories } from './directories.js';
import { stem } from './loraFile.js';
import type { LoraTag } from './tags.js';
import type { LoraInput, ResolvedLora } from './types.js';

const strength = { min: -1000, max: 1000 } as const;

const loraSpec = object({
  path: optional(filePath()),
  name: optional(text({ allowEmpty: false, maxLength: 1024 })),
  weight: number({ ...strength, default: 1 }),
  unetWeight: optional(number(strength)),
  textEncoderWeight: optional(number(strength)),
  blockWeights: optional(
    union([arrayOf(number(strength), { min: 1, max: 64 }), recordOf(number(strength))], (value) =>
      Array.isArray(value) ? 0 : 1,
    ),
  ),
  dyn: optional(integer({ min: 1, max: 65_536 })),
});

/** A list of LoRAs; exactly one of `path` and `name` in each. */
export const lorasSpec = checker<readonly CheckedLora[], readonly LoraInput[]>('an array of LoRAs', (value, field) => {
  const list = arrayOf(loraSpec, { max: 256 }).check(value, field);
  for (const [index, { path, name }] of list.entries()) {
    if ((path === undefined) === (name === undefined))
      throw invalidOption(`${field}[${String(index)}]`, value, 'either path or name');
  }
  return list;
});

export type CheckedLora = ReturnType<typeof loraSpec.check>;

/**
 * Finds the files of a list.
 * @param within option that list and tags belong to, for errors.
 */
export async function resolveLoras(
  list: readonly CheckedLora[],
  tags: readonly LoraTag[],
  directories: LoraDirectories,
  signal: AbortSignal | undefined,
  within: '' | 'hires.' = '',
): Promise<ResolvedLora[]> {
  const resolved: ResolvedLora[] = [];
  for (const [index, { path, name, weight, unetWeight, textEncoderWeight, blockWeights, dyn }] of list.entries()) {
    const file = path ?? (await directories.find(name ?? '', `${within}loras[${String(index)}].name`, signal));
    resolved.push({
      name: name ?? stem(file),
      path: file,
      unetWeight: unetWeight ?? weight,
      textEncoderWeight: textEncoderWeight ?? weight,
      blockWeights,
      dyn: dyn ?? 0,
    });
  }
  for (const { name, unetWeight, textEncoderWeight, dyn } of tags) {
    const path = await directories.find(name, `${within}prompt`, signal);
    resolved.push({ name, path, unetWeight, textEncoderWeight, blockWeights: undefined, dyn });
  }
  return resolved;
}
