import { expect, it } from 'vitest';
import { schedules } from '../../lib/index.js';
import { edge, hashes, tiny, useModel } from '../support/native.js';

const fixture = useModel();

// The engine divides by zero in some schedules of one step, and reads before its table in another.
it.each(schedules)('one step of the schedule %s begins above 0, ends at 0 and draws', async (schedule) => {
  const sigmas = await fixture.model.sigmas({ steps: 1, schedule, width: edge, height: edge });
  expect(sigmas).toHaveLength(2);
  expect(sigmas[0]).toBeGreaterThan(0);
  expect(sigmas[1]).toBe(0);
  expect(hashes(await fixture.model.txt2img({ ...tiny, steps: 1, schedule }))).toHaveLength(1);
});
