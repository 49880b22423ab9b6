import { samplers, schedules } from '../../lib/index.js';
import { type ParityCase, paritySuite } from './embedded.js';

/** Every sampler, and every schedule with at least one of them. Three steps, so that those with a memory use it. */
const cases: ParityCase[] = samplers.map((sampler, index) => {
  const schedule = schedules[index % schedules.length] ?? 'discrete';
  return { name: `${sampler}, ${schedule}`, request: { sampler, schedule, steps: 3, seed: 100 + index } };
});

paritySuite('every sampler draws the bytes of sd-cli', {}, cases);
