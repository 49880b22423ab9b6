import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { buildDir, root } from './paths.mjs';
import { run, runTool } from './run.mjs';
import { say } from './say.mjs';

/**
 * Counts of one runner, and a line for each failure. A runner that failed without naming a test, or ran none, counts as
 * one failed.
 */
function counts(name, code, { passed, failed, skipped, failures }) {
  const unnamed = failed === 0 && (code !== 0 || passed === 0);
  const why = code === 0 ? 'ran no test' : `ended with exit code ${code} outside any test`;
  if (!unnamed) return { name, passed, failed, skipped, failures };
  say(`${name}: ${why}`);
  return { name, passed, failed: 1, skipped, failures: [...failures, why] };
}

/** The first lines of a message that is followed by a stack. */
const startOf = (text) => text.split(/\n\s+at /)[0].slice(0, 600);

/** The failed tests of vitest's JSON report: file, name, and how the first message begins. */
function failuresOf({ testResults = [] }) {
  return testResults.flatMap(({ name, message, assertionResults }) => {
    const file = relative(root, name);
    const failed = assertionResults.filter(({ status }) => status === 'failed');
    if (failed.length === 0 && message) return [`${file}: ${startOf(message)}`];
    return failed.map(({ fullName, failureMessages: [first = ''] }) => `${file} > ${fullName}: ${startOf(first)}`);
  });
}

/**
 * Runs one room of vitest (vitest.config.ts), or some of its files, and counts from its JSON report. `env` is added to
 * the environment.
 */
export async function vitest(room, { files = [], env = {}, reports = join(buildDir, 'reports') } = {}) {
  const report = join(reports, `${room}.json`);
  mkdirSync(reports, { recursive: true });
  rmSync(report, { force: true });
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
  const workers = room === 'unit' ? ['--maxWorkers=2'] : [];
  const args = ['run', '--project', room, ...reporters, ...workers, ...files];
  const code = await runTool('vitest', args, { allowFailure: true, env: { ...process.env, ...env } });
  const json = existsSync(report) ? JSON.parse(readFileSync(report, 'utf8')) : {};
  return counts(`vitest ${room}`, code, {
    passed: json.numPassedTests ?? 0,
    failed: json.numFailedTests ?? 0,
    skipped: (json.numPendingTests ?? 0) + (json.numTodoTests ?? 0),
    failures: failuresOf(json),
  });
}

/** Runs the C++ tests, or `only` some, and counts from ctest's own summary (its JUnit report needs a CMake newer than our lowest). */
export async function ctest({ name = 'ctest', cwd = buildDir, env = {}, only = [] } = {}) {
  let total = 0;
  let failed = 0;
  let skipped = 0;
  const failures = [];
  const onLine = (line) => {
    const summary = /tests passed, (\d+) tests? failed out of (\d+)/.exec(line);
    if (summary !== null) [failed, total] = summary.slice(1).map(Number);
    if (/\*\*\*Skipped/.test(line)) skipped++;
    else if (/\*\*\*/.test(line)) failures.push(line.trim());
  };
  const some = only.length > 0 ? ['--tests-regex', `^(${only.join('|')})$`] : [];
  const args = ['--output-on-failure', '--no-tests=error', ...some];
  const all = { ...process.env, ...(await embeddedModel()), ...env };
  const code = await run('ctest', args, { cwd, allowFailure: true, onLine, env: all });
  return counts(name, code, { passed: total - failed - skipped, failed, skipped, failures });
}

/** The lifted files for native/test/engine_test.cpp, by environment variable. */
async function embeddedModel() {
  const { ensureEmbeddedModel } = await import(pathToFileURL(join(root, 'dist', 'index.js')).href);
  const { checkpoint, taesd } = await ensureEmbeddedModel();
  return { ND_TEST_CHECKPOINT: checkpoint, ND_TEST_TAESD: taesd };
}
