import { describe, expect, it } from 'vitest';
import { runMode } from '../../../lib/pipeline/modes.js';
import { FakeAddon } from '../../support/fakeAddon.js';
import { fakePair, ownOf } from '../../support/fakeHires.js';

describe('compiled graphs', () => {
  it('are kept from job to job, and made again, with the reason, when the weights had left memory', async () => {
    const compiled: number[] = [];
    const fake = new FakeAddon();
    const pair = fakePair(fake, {
      parts: ownOf('first'),
      second: {},
      compile: (_key, native) => {
        compiled.push(fake.models);
        return { ...native };
      },
    });
    const reasons: string[] = [];
    const job = (width: number) => ({
      ...{ prompt: 'x', width, height: 64, steps: 2, seed: 1 },
      onModel: (event: { action: string; reason: string }) => {
        if (event.action === 'compile') reasons.push(event.reason);
      },
    });
    await runMode(pair.model, 'txt2img', job(64));
    await runMode(pair.model, 'txt2img', job(64));
    expect(reasons).toEqual(['Nothing was compiled yet.']);
    const [resident] = pair.residents;
    await resident.drop();
    await runMode(pair.model, 'txt2img', job(64));
    expect(reasons.splice(0)).toEqual(['Nothing was compiled yet.', 'The weights had left memory.']);
    // What was made of the old weights is not used any more: each compilation saw the weights of its time.
    expect(compiled).toEqual([1, 2]);
    await runMode(pair.model, 'txt2img', job(64));
    await runMode(pair.model, 'txt2img', job(128));
    expect(reasons).toEqual(['Changed: the size.']);
    // Both reasons at once: what changed is told.
    await resident.drop();
    await runMode(pair.model, 'txt2img', job(64));
    expect(reasons.at(-1)).toBe('Changed: the size.');
    expect(compiled).toHaveLength(4);
  });
});
