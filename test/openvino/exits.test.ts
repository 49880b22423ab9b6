import { expect, it } from 'vitest';
import { ensureEmbeddedModel } from '../../lib/index.js';
import { crashText, describeEnd, runChild, said } from '../support/child/run.js';
import { useScratch } from '../support/scratch.js';

const scratch = useScratch(2 ** 33);

/** Milliseconds after it was begun. */
const moments = [0, 50, 200, 500, 1000];

it('a process ends with its own code while graphs are compiled, and while they are read ahead', async () => {
  const { checkpoint, taesd } = await ensureEmbeddedModel();
  const files = JSON.stringify({ checkpoint, taesd });
  const end = async (way: string, ms: number, cache: string): Promise<unknown> => {
    const env = { NODE_DIFFUSION_CACHE: cache };
    const ended = await runChild('openvino-exit.mjs', [way, String(ms), files], { env });
    const shown = describeEnd(ended);
    expect({ code: ended.code, signal: ended.signal }, shown).toEqual({ code: way === 'whole' ? 0 : 3, signal: null });
    expect(ended.stderr, shown).not.toMatch(crashText);
    return said(ended, 'doing');
  };
  const full = scratch.path('full');
  expect(await end('whole', 0, full)).toBe('compiling');
  for (const way of ['exit', 'reallyExit'])
    for (const ms of moments) {
      expect(await end(way, ms, scratch.path(`${way}-${String(ms)}`))).toBe('compiling');
      expect(await end(way, ms, full)).toBe('reading a graph ahead');
    }
});
