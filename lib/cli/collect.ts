import type { OptionDef, Target } from './options/define.js';
import type { ParsedArgs } from './parse.js';

type Fields = Record<string, unknown>;

/**
 * The options object of a target: `tiling.overlap` becomes a field of the object `tiling`. A switch and the fields
 * behind it may be given together (`--tiling --tile-size 32`): the object wins.
 */
export function collect({ given }: ParsedArgs, target: Target): Fields {
  const result: Fields = {};
  for (const { option, value } of given) if (option.target === target) assign(result, option, value);
  return result;
}

function assign(result: Fields, option: OptionDef, value: unknown): void {
  if (option.key === '') {
    Object.assign(result, value);
    return;
  }
  const [key = '', ...inner] = option.key.split('.');
  const before = result[key];
  if (inner.length > 0) {
    const fields = isFields(before) ? { ...before } : {};
    assign(fields, { ...option, key: inner.join('.') }, value);
    result[key] = fields;
  } else if (option.multiple === true) result[key] = [...(Array.isArray(before) ? (before as unknown[]) : []), value];
  else if (!isFields(before) || value !== true) result[key] = value;
}

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The option that sets a field of the API, named as in errors: `cfgScale`, `tiling.overlap`, `sigmas[2]`. */
export function optionOfField(options: readonly OptionDef[], field: string): OptionDef | undefined {
  const path = field.replace(/\[\d+\]/g, '');
  const api = options.filter(({ target }) => target !== 'cli');
  return (
    api.find(({ key }) => key === path) ??
    // `tiling` and `tiling.tileSize` both lead to `tiling.tileSize.x`; the longer one is meant.
    api.filter(({ key }) => key !== '' && path.startsWith(`${key}.`)).sort((a, b) => b.key.length - a.key.length)[0] ??
    api.find(({ key }) => key.startsWith(`${path}.`))
  );
}
