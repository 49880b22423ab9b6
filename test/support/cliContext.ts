import type { CliContext } from '../../lib/cli/context.js';

export interface CliRun {
  readonly context: CliContext;
  /** What was written so far. */
  readonly out: { text: string };
  readonly err: { text: string };
  /** Aborting is an interrupt. */
  readonly abort: AbortController;
}

/** A command line that writes into memory. Of what it can start, there is what is given. */
export function cliContext(given: Partial<Pick<CliContext, 'createRuntime' | 'benchHost'>>): CliRun {
  const abort = new AbortController();
  const [out, err] = [{ text: '' }, { text: '' }];
  const stream = (to: { text: string }): CliContext['stdout'] => ({
    write: (text) => void (to.text += text),
    isTTY: false,
    columns: 80,
  });
  const nothing = () => Promise.reject(new Error('Nothing of the kind is started here.'));
  const context: CliContext = {
    stdout: stream(out),
    stderr: stream(err),
    env: {},
    now: () => performance.now(),
    interrupt: () => abort.signal,
    createRuntime: given.createRuntime ?? nothing,
    benchHost: given.benchHost ?? nothing,
  };
  return { context, out, err, abort };
}
