import { parseArgs } from 'node:util';
import { type DiffusionError, invalidOption } from '../errors/index.js';
import type { CommandDef } from './commands/table.js';
import type { OptionDef } from './options/define.js';
import { unknownOption, usageError } from './usage-error.js';

/** Options as they were given, in order, their values read. */
export interface ParsedArgs {
  readonly operands: readonly string[];
  readonly given: readonly { readonly option: OptionDef; readonly value: unknown }[];
}

/**
 * Reads the arguments behind a command's name. The later of two equal options wins. A value that looks like an option
 * of the command is taken for a forgotten value; `--name=value` takes anything.
 * @throws DiffusionError `ERR_INVALID_OPTION`.
 */
export function parseCommand(command: CommandDef, args: readonly string[]): ParsedArgs {
  // Not strict: our own errors name what is allowed, and `--seed -1` is no mistake.
  const { tokens } = parseArgs({ args: [...args], options: describe(command), strict: false, tokens: true });
  const operands: string[] = [];
  const given: { option: OptionDef; value: unknown }[] = [];
  for (let i = 0; i < tokens.length; i++) {
    const token = tokens[i];
    if (token?.kind === 'positional') operands.push(token.value);
    if (token?.kind !== 'option') continue;
    const option = command.options.find(({ name }) => name === token.name);
    if (option === undefined) throw unknownOption(command, token.rawName);
    const value = readValue(command, option, token.rawName, token.value, token.inlineValue === true);
    if (option.operand === undefined) given.push({ option, value });
    else {
      // What follows the value belongs to the option, so it is taken from the operands.
      const next = tokens[++i];
      if (next?.kind !== 'positional') throw missingOperand(option, token.rawName);
      given.push({ option, value: { value, operand: next.value } });
    }
  }
  return { operands, given };
}

function missingOperand({ name, value = '', operand = '' }: OptionDef, raw: string): DiffusionError {
  return usageError(`--${name}`, `Option "${raw}" needs two values: ${raw} ${value} ${operand}.`);
}

function describe({ options }: CommandDef) {
  const described: Record<string, { type: 'boolean' | 'string'; short?: string }> = {};
  for (const { name, short, value } of options) {
    described[name] = { type: value === undefined ? 'boolean' : 'string', ...(short === undefined ? {} : { short }) };
  }
  return described;
}

function readValue(
  command: CommandDef,
  option: OptionDef,
  raw: string,
  text: string | undefined,
  inline: boolean,
): unknown {
  const field = `--${option.name}`;
  if (option.read === undefined || option.value === undefined) {
    if (text !== undefined) throw invalidOption(field, text, 'no value', `Write ${field} alone.`);
    return option.constant ?? true;
  }
  if (text === undefined) throw usageError(field, `Option "${raw}" needs a value: ${raw} ${option.value}.`);
  if (!inline && isOption(command, text)) {
    const hint = `If "${text}" is meant as its value, write ${field}=${text}.`;
    throw usageError(field, `Option "${raw}" needs a value, but the option "${text}" follows.`, hint);
  }
  return option.read(text, field);
}

function isOption({ options }: CommandDef, text: string): boolean {
  return options.some(
    ({ name, short }) => text === `--${name}` || text.startsWith(`--${name}=`) || text === `-${String(short)}`,
  );
}
