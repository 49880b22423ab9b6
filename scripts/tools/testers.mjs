import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { buildDir, root } from './paths.mjs';
import { run, runTool } from './run.mjs';
import { say } from './say.mjs';

/** Counts of one runner. A runner that failed without naming a test, or ran none, counts as one failed. */
function counts(name, code, { passed, failed, skipped }) {
  const unnamed = failed === 0 && (code !== 0 || passed === 0) ? 1 : 0;
  if (unnamed > 0) say(`${name}: ${code === 0 ? 'ran no test' : `ended with exit code ${code} outside any test`}`);
  return { name, passed, failed: failed + unnamed, skipped };
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
  });
}

/** Runs the C++ tests, or `only` some, and counts from ctest's own summary (its JUnit report needs a CMake newer than our lowest). */
export async function ctest({ name = 'ctest', cwd = buildDir, env = {}, only = [] } = {}) {
  let total = 0;
  let failed = 0;
  let skipped = 0;
  const onLine = (line) => {
    const summary = /tests passed, (\d+) tests? failed out of (\d+)/.exec(line);
    if (summary !== null) [failed, total] = summary.slice(1).map(Number);
    if (/\*\*\*Skipped/.test(line)) skipped++;
  };
  const some = only.length > 0 ? ['--tests-regex', `^(${only.join('|')})$`] : [];
  const args = ['--output-on-failure', '--no-tests=error', ...some];
  const all = { ...process.env, ...(await embeddedModel()), ...env };
  const code = await run('ctest', args, { cwd, allowFailure: true, onLine, env: all });
  return counts(name, code, { passed: total - failed - skipped, failed, skipped });
}

/** The lifted files for native/test/engine_test.cpp, by environment variable. */
async function embeddedModel() {
  const { ensureEmbeddedModel } = await import(pathToFileURL(join(root, 'dist', 'index.js')).href);
  const { checkpoint, taesd } = await ensureEmbeddedModel();
  return { ND_TEST_CHECKPOINT: checkpoint, ND_TEST_TAESD: taesd };
}
