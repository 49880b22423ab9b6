import { DiffusionError } from '../errors/index.js';
import { suggestOption } from '../options/index.js';
import { type CommandDef, commands } from './commands/table.js';
import type { OptionDef } from './options/define.js';

/** `ERR_INVALID_OPTION` about the command line itself. */
export function usageError(field: string, message: string, hint?: string): DiffusionError {
  return new DiffusionError('ERR_INVALID_OPTION', message, { field, ...(hint === undefined ? {} : { hint }) });
}

/** An option that the command lacks, with the one that was meant. `raw` is as it was typed, dashes included. */
export function unknownOption(command: CommandDef, raw: string): DiffusionError {
  const name = raw.replace(/^-+/, '');
  const message = `Unknown option "${raw}" of ${command.name}.`;
  const owner = commands.find(({ options }) => options.some((option) => option.name === name));
  if (owner !== undefined) return usageError(raw, message, `It is an option of ${owner.name}.`);
  const meant = nearestOption(command.options, name);
  if (meant !== undefined) return usageError(raw, message, `Did you mean "--${meant.name}"?`);
  return usageError(raw, message, `See: node-diffusion help ${command.name}`);
}

/** Names of the API and of other programs count as well: `--batch-size`, `--num_inference_steps`. */
function nearestOption(options: readonly OptionDef[], name: string): OptionDef | undefined {
  const byKey = new Map<string, OptionDef>();
  for (const option of options) if (option.key !== '' && !option.key.includes('.')) byKey.set(option.key, option);
  for (const option of options) byKey.set(option.name, option);
  const meant = suggestOption(name, [...byKey.keys()]);
  return meant === undefined ? undefined : byKey.get(meant);
}
