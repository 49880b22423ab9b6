import { expect, it } from 'vitest';
import { ensureEmbeddedModel } from '../../lib/index.js';
import { crashText, describeEnd, runChild, said } from '../support/child/run.js';
import { useScratch } from '../support/scratch.js';

const scratch = useScratch(2 ** 31);

/** Milliseconds after the load was begun: while weights are read, graphs are compiled or read ahead, and the picture is made. */
const moments = [0, 100, 300, 600, 1000];

it('a process ends with its own code while graphs are compiled, and while they are read ahead', async () => {
  const { checkpoint, taesd } = await ensureEmbeddedModel();
  const files = JSON.stringify({ checkpoint, taesd });
  const end = async (way: string, ms: number, cache: string): Promise<unknown> => {
    const ended = await runChild('openvino-exit.mjs', [way, String(ms), files], {
      env: { NODE_DIFFUSION_CACHE: cache },
    });
    const shown = describeEnd(ended);
    expect({ code: ended.code, signal: ended.signal }, shown).toEqual({ code: way === 'whole' ? 0 : 3, signal: null });
    expect(ended.stderr, shown).not.toMatch(crashText);
    return said(ended, 'compiling');
  };
  const full = scratch.path('full');
  expect(await end('whole', 0, full)).toBe(true);
  const compiled: unknown[] = [];
  for (const way of ['exit', 'reallyExit'])
    for (const ms of moments) {
      compiled.push(await end(way, ms, scratch.path(`${way}-${String(ms)}`)));
      expect(await end(way, ms, full)).toBeUndefined();
    }
  // Some ended in the middle of it.
  expect(compiled).toContain(true);
});
