import { describe, expect, it } from 'vitest';
import { best } from '../support/best.js';
import { describeEnd, runChild, said, sinceLine } from '../support/child/run.js';

describe('process.exit while a picture is sampled', () => {
  it('takes no longer than one model evaluation', async () => {
    const base = await runChild('exits.mjs', ['idle', 'exit0']);
    // Beyond one and a half evaluations, in milliseconds.
    const late = async (): Promise<number> => {
      const end = await runChild('exits.mjs', ['sampling', 'exit0']);
      expect(end.code, describeEnd(end)).toBe(0);
      const evaluation = Number(said(end, 'secondsPerStep')) * 1000;
      expect(evaluation).toBeGreaterThan(0);
      return sinceLine(end, 'ready') - sinceLine(base, 'ready') - evaluation * 1.5;
    };
    expect(await best(300, late)).toBeLessThan(300);
  });
});
