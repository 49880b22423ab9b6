#!/usr/bin/env node
import { DiffusionError } from '../errors/index.js';
import type { CliContext, CliOutput } from './context.js';
import { runCli } from './run.js';

// The only file of the command line tool that touches the process.

function output(stream: NodeJS.WriteStream): CliOutput {
  // A reader that has seen enough (`| head`) is no failure.
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
  return {
    write: (text) => {
      stream.write(text);
    },
    // The types say true for every stream, yet pipes and files have no such property.
    isTTY: (stream.isTTY as boolean | undefined) === true,
    get columns() {
      return (stream.columns as number | undefined) ?? 80;
    },
  };
}

const context: CliContext = {
  stdout: output(process.stdout),
  stderr: output(process.stderr),
  env: process.env,
  now: () => performance.now(),
  interrupt: () => {
    const controller = new AbortController();
    // Once: the second interrupt finds no listener and ends the process the system's way.
    process.once('SIGINT', () => {
      controller.abort(new DiffusionError('ERR_ABORTED', 'Interrupted.'));
    });
    return controller.signal;
  },
  createRuntime: async (options) => (await import('../sdk/index.js')).createRuntime(options),
  benchHost: async () => (await import('../bench/host.js')).systemHost,
};

process.exitCode = await runCli(process.argv.slice(2), context);
