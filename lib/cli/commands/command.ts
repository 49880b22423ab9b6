import type { CliContext } from '../context.js';
import type { ParsedArgs } from '../parse.js';
import type { CommandDef } from './table.js';

/** Runs a command and gives its exit code. What it throws is reported by the caller. */
export type CommandRun = (parsed: ParsedArgs, context: CliContext, command: CommandDef) => Promise<number>;
