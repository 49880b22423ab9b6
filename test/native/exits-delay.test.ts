import { describe, expect, it } from 'vitest';
import { describeEnd, runChild, said, sinceLine } from '../support/child/run.js';

describe('process.exit while a picture is sampled', () => {
  it('takes no longer than one model evaluation', async () => {
    const base = await runChild('exits.mjs', ['idle', 'exit0']);
    for (let i = 0; i < 3; i++) {
      const end = await runChild('exits.mjs', ['sampling', 'exit0']);
      expect(end.code, describeEnd(end)).toBe(0);
      const evaluation = Number(said(end, 'secondsPerStep')) * 1000;
      expect(evaluation).toBeGreaterThan(0);
      // Half an evaluation and 300 ms: this machine may be busy with something else.
      expect(sinceLine(end, 'ready') - sinceLine(base, 'ready')).toBeLessThan(evaluation * 1.5 + 300);
    }
  });
});
