#!/usr/bin/env node
/**
 * `npm test`: sets everything up, then linters, vitest rooms, ctest (once more with AddressSanitizer, and the quick part
 * with ThreadSanitizer), the leak script for three minutes, and package checks. Everything runs even when
 * something failed before it; the exit code is 0 only when all of it passed. The last line counts the tests.
 */
import { setup } from './setup.mjs';
import { lintChecks, packageChecks, runChecks } from './lint.mjs';
import { leak } from './leak.mjs';
import { sanitizedCtest } from './sanitize.mjs';
import { ctest, vitest } from './tools/testers.mjs';
import { entry, say, since } from './tools/say.mjs';

async function leakTest() {
  const passed = await leak(3 * 60_000);
  return { name: 'leak', passed: passed ? 1 : 0, failed: passed ? 0 : 1, skipped: 0, failures: [] };
}

const rooms = ['unit', 'native', 'fuzz', 'parity', 'package'];

entry(import.meta.url, async () => {
  const start = performance.now();
  await setup({ define: ['ND_BUILD_TESTS=ON', 'ND_BUILD_SD_CLI=ON'] });
  const lint = await runChecks(lintChecks);
  const tests = [];
  for (const room of rooms) tests.push(await vitest(room));
  tests.push(await ctest());
  tests.push(await sanitizedCtest('asan'));
  tests.push(await sanitizedCtest('tsan', { quick: true }));
  tests.push(await leakTest());
  const packaging = await runChecks(packageChecks);

  const failedChecks = [...lint.failed, ...packaging.failed];
  const left = [...lint.left, ...packaging.left];
  for (const { name, passed, failed, skipped, failures } of tests) {
    say(`${name}: ${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);
    for (const failure of failures) say(`  ${failure}`);
  }
  say(`checks: ${failedChecks.length === 0 ? 'all clean' : `FAILED: ${failedChecks.join(', ')}`}`);
  if (left.length > 0) say(`checks left out because the tool is missing: ${left.join(', ')}`);
  say(`all of it took ${since(start)}`);

  const sum = (key) => tests.reduce((total, test) => total + test[key], 0);
  const skipped = sum('skipped') > 0 ? `, ${sum('skipped')} skipped` : '';
  process.stdout.write(`${sum('passed')} passed, ${sum('failed')} failed${skipped}\n`);
  return sum('failed') === 0 && failedChecks.length === 0 ? 0 : 1;
});
