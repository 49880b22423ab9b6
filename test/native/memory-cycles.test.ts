import { describe, expect, it } from 'vitest';
import { ensureEmbeddedModel } from '../../lib/index.js';
import { oneHeap } from '../../scripts/tools/one-heap.mjs';
import { describeEnd, runChild } from '../support/child/run.js';

const [settled, count] = [20, 200];

/** Bytes. `anonymous`: of it what no file backs, and V8 uses if it is V8's. */
interface Sample {
  readonly after: number;
  readonly rss: number;
  readonly anonymous: number;
  readonly external: number;
}

/** Runs a kind of work (child/cycles.mjs) in a process of its own and compares its memory early and late. */
async function cycle(kind: string): Promise<void> {
  const { checkpoint, taesd } = await ensureEmbeddedModel();
  const files = JSON.stringify({ checkpoint, taesd });
  // A process that holds no model is so small that 2 % of it are 1.3 MiB.
  const settings = kind === 'loads' ? oneHeap : { env: {}, nodeOptions: [] };
  const end = await runChild('cycles.mjs', [kind, String(count), String(settled), files], {
    ...{ env: settings.env, nodeOptions: ['--expose-gc', ...settings.nodeOptions], limit: 1500 },
  });
  const shown = describeEnd(end);
  expect(end.code, shown).toBe(0);
  expect(end.stderr, shown).toBe('');
  expect(
    end.lines.some((line) => 'notAborted' in line),
    shown,
  ).toBe(false);
  const [early, late] = end.lines.filter((line) => 'after' in line) as unknown as Sample[];
  expect([early?.after, late?.after], shown).toEqual([settled, count]);
  if (early === undefined || late === undefined) return;
  const [mapped, grown] = [early.rss - early.anonymous, late.anonymous - early.anonymous];
  process.stdout.write(
    `${kind}: ${mib(early.rss)} MiB after ${String(settled)} (${mib(mapped)} of files), ${mib(late.rss)} after ${String(count)}\n`,
  );
  // Pages of files (the mapped model, libraries) come and go as the kernel needs room; what is ours to leak is the rest.
  expect(grown, shown).toBeLessThan(early.rss * 0.02);
  expect(late.external - early.external, shown).toBeLessThan(64 * 1024);
}

function mib(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(1);
}

describe(`resident memory after ${String(count)} rounds is within 2 % of what it was after ${String(settled)}`, () => {
  // At once: a process measures itself alone, and each works on one thread.
  it.concurrent.each([
    ['generations', 'pictures'],
    ['loads', 'loads and disposals'],
    ['aborts', 'aborted jobs'],
  ])('%s: %s', (kind) => cycle(kind));
});
