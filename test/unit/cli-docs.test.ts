import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { type CommandDef, commands } from '../../lib/cli/commands/table.js';
import { exitCodes } from '../../lib/cli/exit-codes.js';
import { commandHelp, generalHelp, optionUsage, usageOf } from '../../lib/cli/help.js';
import { groups } from '../../lib/cli/options/define.js';
import { errorCodes } from '../../lib/errors/index.js';

const page = new URL('../../docs/cli.md', import.meta.url);

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

function exitCodeTable(): string {
  const rows = exitCodes.map(({ code, meaning, errors }) => [
    String(code),
    meaning,
    errors.map((error) => `\`${error}\``).join(', '),
  ]);
  return table(['Code', 'Meaning', 'Errors'], rows);
}

function commandSection(command: CommandDef): string {
  const parts = [`## ${command.name}`, `${command.summary}.`, `\`\`\`\n${usageOf(command)}\n\`\`\``];
  if (command.operand !== undefined) parts.push(`\`${command.operand}\`: ${command.operandHelp ?? ''}.`);
  // img2img has all options of generate, bench those of the model: the ones they share are listed once.
  const further: Readonly<Record<string, string>> = {
    img2img: 'Further options are those of [generate](#generate).',
    bench: 'Further options are those of [generate](#generate) under Model and Compute.',
  };
  const note = further[command.name];
  const shared = note === undefined ? [] : (commands.find(({ name }) => name === 'generate')?.options ?? []);
  for (const group of groups) {
    const members = command.options.filter((option) => option.group === group && !shared.includes(option));
    if (members.length === 0) continue;
    const rows = members.map((option) => [`\`${optionUsage(option)}\``, `${option.help}.`]);
    parts.push(table([group, ''], rows));
  }
  if (note !== undefined) parts.push(note);
  parts.push(`\`\`\`\n${command.examples.join('\n')}\n\`\`\``);
  return parts.join('\n\n');
}

/** The page with its generated parts made anew. */
function filled(text: string): string {
  const put = (source: string, name: string, content: string): string => {
    const [begin, end] = [`<!-- ${name} -->\n`, '<!-- end -->'];
    const from = source.indexOf(begin) + begin.length;
    const to = source.indexOf(end, from);
    if (from < begin.length || to < 0) throw new Error(`docs/cli.md lacks the marks of "${name}"`);
    return `${source.slice(0, from)}\n${content}\n\n${source.slice(to)}`;
  };
  return put(put(text, 'exit codes', exitCodeTable()), 'commands', commands.map(commandSection).join('\n\n'));
}

describe('docs/cli.md', () => {
  // After a change of the table: npx vitest run test/unit/cli-docs.test.ts -u
  it('lists the options and exit codes of the table', async () => {
    await expect(filled(await readFile(page, 'utf8'))).toMatchFileSnapshot('../../docs/cli.md');
  });
});

describe('help', () => {
  it.each(commands.map((command) => [command.name, command] as const))('of %s shows every option', (_, command) => {
    const help = commandHelp(command, 100);
    for (const option of command.options) expect(help).toContain(optionUsage(option));
    for (const line of help.split('\n')) {
      if (!line.startsWith('  node-diffusion')) expect(line.length).toBeLessThanOrEqual(100);
    }
  });

  it('names every command and exit code', () => {
    const help = generalHelp(80);
    for (const { name } of commands) expect(help).toContain(`  ${name}`);
    for (const { code } of exitCodes) expect(help).toMatch(new RegExp(`^  ${String(code)} `, 'm'));
  });
});

describe('tables', () => {
  it('have no name or letter twice within a command', () => {
    for (const { options } of commands) {
      const names = options.flatMap(({ name, short }) => (short === undefined ? [name] : [name, short]));
      expect(new Set(names).size).toBe(names.length);
    }
  });

  it('give every error code one exit code', () => {
    const listed = exitCodes.flatMap(({ errors }) => errors);
    expect([...listed].sort()).toEqual([...errorCodes].sort());
  });
});
