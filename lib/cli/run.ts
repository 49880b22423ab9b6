import type { DiffusionError } from '../errors/index.js';
import { didYouMean, nearest } from '../options/index.js';
import type { CommandRun } from './commands/command.js';
import { type CommandDef, type CommandName, commandNames, findCommand } from './commands/table.js';
import { type CliContext, writeJson } from './context.js';
import { exitCodeOf } from './exit-codes.js';
import { commandHelp, generalHelp } from './help.js';
import { parseCommand } from './parse.js';
import { errorJson, errorText } from './report-error.js';
import { usageError } from './usage-error.js';

/** Commands are imported when they run: `--help` shall not wait for what makes pictures. */
const runners: Readonly<Record<CommandName, () => Promise<CommandRun>>> = {
  generate: async () => (await import('./commands/generate.js')).generate,
  img2img: async () => (await import('./commands/generate.js')).img2img,
  inspect: async () => (await import('./commands/inspect.js')).inspect,
  doctor: async () => (await import('./commands/doctor.js')).doctor,
  models: async () => (await import('./commands/models.js')).models,
  bench: async () => (await import('./commands/bench.js')).bench,
};

/**
 * Runs one command line.
 * @param args What follows `node-diffusion`.
 * @returns The exit code. Never rejects.
 */
export async function runCli(args: readonly string[], context: CliContext): Promise<number> {
  const [first, ...rest] = args;
  const command = first === undefined ? undefined : findCommand(first);
  try {
    return command === undefined ? await runGeneral(first, rest, context) : await runCommand(command, rest, context);
  } catch (error) {
    const verbose = (context.env.NODE_DIFFUSION_DEBUG ?? '') !== '';
    context.stderr.write(errorText(error, command?.options, verbose));
    if (command !== undefined && wantsJson(command, rest)) writeJson(context.stdout, errorJson(error));
    return exitCodeOf(error);
  }
}

/** The command answers in JSON on stdout, errors too. `--json FILE` is something else. */
function wantsJson({ options }: CommandDef, args: readonly string[]): boolean {
  if (!options.some(({ name, value }) => name === 'json' && value === undefined)) return false;
  const end = args.indexOf('--');
  return (end === -1 ? args : args.slice(0, end)).includes('--json');
}

async function runCommand(command: CommandDef, args: readonly string[], context: CliContext): Promise<number> {
  const parsed = parseCommand(command, args);
  if (parsed.given.some(({ option }) => option.key === 'help')) {
    context.stdout.write(commandHelp(command, context.stdout.columns));
    return 0;
  }
  if (command.operand === undefined && parsed.operands.length > 0) {
    throw usageError(command.name, `${command.name} takes options only, got "${parsed.operands.join(' ')}".`);
  }
  const run = await runners[command.name]();
  return run(parsed, context, command);
}

async function runGeneral(first: string | undefined, rest: readonly string[], context: CliContext): Promise<number> {
  const { stdout, stderr } = context;
  if (first === undefined) {
    stderr.write(generalHelp(stderr.columns));
    return 2;
  }
  if (first === '--version' || first === '-V' || first === 'version') {
    const { ownVersion } = await import('../native/load.js');
    stdout.write(`${ownVersion()}\n`);
    return 0;
  }
  if (first !== 'help' && first !== '--help' && first !== '-h') throw unknownCommand(first);
  const [topic] = rest;
  const command = topic === undefined ? undefined : findCommand(topic);
  if (topic !== undefined && command === undefined) throw unknownCommand(topic);
  stdout.write(command === undefined ? generalHelp(stdout.columns) : commandHelp(command, stdout.columns));
  return 0;
}

function unknownCommand(name: string): DiffusionError {
  const meant = didYouMean(nearest(name, [...commandNames, 'help']));
  const prompt = /\s/.test(name) ? `To make a picture: node-diffusion generate ${JSON.stringify(name)}` : undefined;
  const what = name.startsWith('-') ? 'option' : 'command';
  return usageError(
    'command',
    `Unknown ${what} "${name}".`,
    meant ?? prompt ?? `Commands: ${commandNames.join(', ')}, help.`,
  );
}
