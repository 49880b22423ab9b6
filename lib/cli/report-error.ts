import { DiffusionError } from '../errors/index.js';
import { optionOfField } from './collect.js';
import type { OptionDef } from './options/define.js';

const program = 'node-diffusion';

/** Code in the error text: ours, or `ERR_UNEXPECTED` for what should not happen. */
function codeOf(error: unknown): string {
  return error instanceof DiffusionError ? error.code : 'ERR_UNEXPECTED';
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Lines that say what to do and that the message does not say already. */
function hintsOf(error: unknown, options: readonly OptionDef[], verbose: boolean): string[] {
  if (!(error instanceof DiffusionError)) {
    const stack = error instanceof Error ? error.stack : undefined;
    return verbose && stack !== undefined
      ? [stack]
      : ['This is a bug. NODE_DIFFUSION_DEBUG=1 shows where it happened.'];
  }
  const hints: string[] = [];
  const { hint, field } = error;
  if (hint !== undefined && !error.message.includes(hint)) hints.push(hint);
  const option = field === undefined || field.startsWith('-') ? undefined : optionOfField(options, field);
  // `steps` is --steps, no need to say so.
  const same = option === undefined || option.name === field || error.message.includes(`--${option.name}`);
  if (!same) hints.push(`The option is --${option.name}.`);
  if (verbose && error.stack !== undefined) hints.push(error.stack);
  return hints;
}

/** `node-diffusion: ERR_CODE: message`, then lines `hint: …`. */
export function errorText(error: unknown, options: readonly OptionDef[] = [], verbose = false): string {
  const hints = hintsOf(error, options, verbose).map((hint) => `hint: ${hint}\n`);
  return `${program}: ${codeOf(error)}: ${messageOf(error)}\n${hints.join('')}`;
}

/** What `--json` prints on stdout in place of a result. */
export function errorJson(error: unknown): { readonly error: Readonly<Record<string, unknown>> } {
  const shown: Record<string, unknown> = { code: codeOf(error), message: messageOf(error) };
  if (error instanceof DiffusionError) {
    if (error.field !== undefined) shown.field = error.field;
    if (error.hint !== undefined) shown.hint = error.hint;
  }
  return { error: shown };
}
