import { DiffusionError } from '../errors/index.js';

/** A `<lora:…>` tag of a prompt. */
export interface LoraTag {
  readonly name: string;
  readonly textEncoderWeight: number;
  readonly unetWeight: number;
  /** 0: not given. */
  readonly dyn: number;
}

const pattern = /<(?:lora|lyco):([^<>]*)>/gi;

/**
 * Takes A1111's tags out of a prompt: `<lora:name:te:unet:dyn>`, also as `te=`, `unet=`, `dyn=`, with `lyco` for
 * `lora`. A missing te is 1, a missing unet is te. Other tags stay.
 * @throws DiffusionError `ERR_INVALID_PROMPT` for a tag without a name or with something that is no number.
 */
export function parseLoraTags(prompt: string): { readonly prompt: string; readonly tags: readonly LoraTag[] } {
  const tags: LoraTag[] = [];
  const rest = prompt.replace(pattern, (whole, args: string) => {
    tags.push(parseTag(whole, args));
    return '';
  });
  return { prompt: rest, tags };
}

function parseTag(whole: string, args: string): LoraTag {
  const positional: string[] = [];
  const named = new Map<string, string>();
  for (const [index, argument] of args.split(':').entries()) {
    const equals = argument.indexOf('=');
    if (index > 0 && equals > 0) named.set(argument.slice(0, equals).trim().toLowerCase(), argument.slice(equals + 1));
    else positional.push(argument);
  }
  const [name = '', te, unet, dyn] = positional;
  if (name.trim() === '') throw invalidTag(whole, 'it has no name');
  for (const key of named.keys()) {
    if (!['te', 'unet', 'dyn'].includes(key))
      throw invalidTag(whole, `it has an argument "${key}"; there are te, unet, dyn`);
  }
  const textEncoderWeight = numberOf(whole, named.get('te') ?? te, 1);
  return {
    name: name.trim(),
    textEncoderWeight,
    unetWeight: numberOf(whole, named.get('unet') ?? unet, textEncoderWeight),
    dyn: Math.max(0, Math.floor(numberOf(whole, named.get('dyn') ?? dyn, 0))),
  };
}

function numberOf(whole: string, text: string | undefined, fallback: number): number {
  if (text === undefined || text.trim() === '') return fallback;
  const value = Number(text);
  if (!Number.isFinite(value) || Math.abs(value) > 1000) throw invalidTag(whole, `"${text}" is no number up to 1000`);
  return value;
}

function invalidTag(tag: string, fault: string): DiffusionError {
  const hint = 'Write <lora:name:1> or <lora:name:te=1:unet=0.8>.';
  return new DiffusionError('ERR_INVALID_PROMPT', `Invalid tag ${tag} in "prompt": ${fault}. ${hint}`, {
    field: 'prompt',
    given: tag,
    hint,
  });
}

/** The tag that means a LoRA, as short as it goes. */
export function formatLoraTag({ name, textEncoderWeight, unetWeight, dyn }: LoraTag): string {
  const same = textEncoderWeight === unetWeight;
  const values = [String(textEncoderWeight), ...(same && dyn === 0 ? [] : [String(unetWeight)])];
  return `<lora:${[name, ...values, ...(dyn === 0 ? [] : [String(dyn)])].join(':')}>`;
}
