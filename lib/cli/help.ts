import { type CommandDef, commands } from './commands/table.js';
import { exitCodes } from './exit-codes.js';
import { groups, type OptionDef } from './options/define.js';

/** Columns before the text of an option. */
const indent = 30;

/** `-o, --output FILE`. */
export function optionUsage({ name, short, value, operand }: OptionDef): string {
  const long = [`--${name}`, value, operand].filter((part) => part !== undefined).join(' ');
  return short === undefined ? long : `-${short}, ${long}`;
}

export function usageOf({ name, operand }: CommandDef): string {
  return `node-diffusion ${name}${operand === undefined ? '' : ` ${operand}`} [OPTIONS]`;
}

/** What `node-diffusion help` shows. */
export function generalHelp(columns: number): string {
  const list = commands.map(({ name, summary }) => entry(name.padEnd(10), summary, 14, columns));
  const codes = exitCodes.map(({ code, meaning }) => entry(String(code), meaning, 7, columns));
  return [
    'Stable Diffusion from the command line.',
    '',
    'Usage: node-diffusion COMMAND [OPTIONS]',
    '',
    'Commands:',
    ...list,
    entry('help', 'Show this help, or that of a command: node-diffusion help COMMAND', 14, columns),
    '',
    'Options:',
    entry('-h, --help', 'Show this help, or that of the command', 18, columns),
    entry('-V, --version', 'Show the version', 18, columns),
    '',
    'Exit codes:',
    ...codes,
    '',
    'Example:',
    '  node-diffusion generate "a red apple" -o apple.png',
    '',
  ].join('\n');
}

/** What `node-diffusion help COMMAND` shows: every option of the table, by group. */
export function commandHelp(command: CommandDef, columns: number): string {
  const lines = [`${command.summary}.`, '', `Usage: ${usageOf(command)}`, ''];
  if (command.operand !== undefined) lines.push(entry(command.operand, command.operandHelp ?? '', indent, columns), '');
  for (const group of groups) {
    const members = command.options.filter((option) => option.group === group);
    if (members.length === 0) continue;
    lines.push(`${group}:`, ...members.map((option) => entry(aligned(option), option.help, indent, columns)), '');
  }
  const noun = command.examples.length === 1 ? 'Example:' : 'Examples:';
  lines.push(noun, ...command.examples.map((example) => `  ${example}`), '');
  return lines.join('\n');
}

/** Long names stand below each other, with or without a letter before them. */
function aligned(option: OptionDef): string {
  return option.short === undefined ? `    ${optionUsage(option)}` : optionUsage(option);
}

/** A term and its text, the text wrapped beside it, or below when the term is long. */
function entry(term: string, text: string, column: number, columns: number): string {
  const lines = wrap(text, Math.max(24, Math.min(columns, 110) - column));
  const head = `  ${term}`;
  const pad = ' '.repeat(column);
  if (head.length > column - 2) return [head, ...lines.map((line) => pad + line)].join('\n');
  return lines.map((line, i) => (i === 0 ? head.padEnd(column) : pad) + line).join('\n');
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}
