import { describe, expect, it } from 'vitest';
import { DiffusionError } from '../../lib/errors/index.js';
import {
  checkOptions,
  editDistance,
  isAutomatic,
  resolveSampler,
  resolveSchedule,
  samplerLabels,
  samplerName,
  samplers,
  scheduleLabels,
  scheduleName,
  schedules,
} from '../../lib/options/index.js';

describe('resolveSampler', () => {
  it.each(samplers)('knows %s by the engine name and by its label', (name) => {
    expect(resolveSampler(name)).toEqual({ sampler: name });
    expect(resolveSampler(samplerLabels[name])).toEqual({ sampler: name });
    expect(resolveSampler(name.toUpperCase())).toEqual({ sampler: name });
  });

  it.each([
    ['Euler a', { sampler: 'euler_a' }],
    ['k_euler_ancestral', { sampler: 'euler_a' }],
    ['sample_dpmpp_2m', { sampler: 'dpm++2m' }],
    ['dpmpp_2s_ancestral', { sampler: 'dpm++2s_a' }],
    ['DPM++ 2S a', { sampler: 'dpm++2s_a' }],
    ['DPM++ 2M Karras', { sampler: 'dpm++2m', schedule: 'karras' }],
    ['k_dpmpp_2m_ka', { sampler: 'dpm++2m', schedule: 'karras' }],
    ['DPM2 Karras', { sampler: 'dpm2', schedule: 'karras' }],
    ['DPM++ 2M SGM Uniform', { sampler: 'dpm++2m', schedule: 'sgm_uniform' }],
    ['DDIM', { sampler: 'ddim_trailing' }],
    ['EulerAncestralDiscreteScheduler', { sampler: 'euler_a' }],
  ])('%s', (name, expected) => {
    expect(resolveSampler(name)).toEqual(expected);
  });

  it.each([
    'DPM++ SDE',
    'DPM++ 2M SDE Karras',
    'UniPC',
    'PLMS',
    'LMS',
    'DPM2 a',
    'DPM fast',
    'DPM adaptive',
    'Restart',
  ])('%s is not in the engine: the error names the nearest', (name) => {
    expect(() => resolveSampler(name)).toThrowError(DiffusionError);
    expect(() => resolveSampler(name)).toThrowError(/"sampler".*The engine does not have it; the nearest is "/);
  });

  it('suggests for a typo and survives odd input', () => {
    expect(() => resolveSampler('eular')).toThrowError(/Did you mean "euler"\?/);
    for (const name of ['', ' ', 'constructor', '__proto__', 'Karras', 'x'.repeat(100_000)]) {
      expect(() => resolveSampler(name)).toThrowError(DiffusionError);
    }
  });
});

describe('resolveSchedule', () => {
  it.each(schedules)('knows %s by the engine name and by its label', (name) => {
    expect(resolveSchedule(name)).toBe(name);
    expect(resolveSchedule(scheduleLabels[name])).toBe(name);
  });

  it('knows the names of others', () => {
    expect(resolveSchedule('SGMUniform')).toBe('sgm_uniform');
    expect(resolveSchedule('align_your_steps')).toBe('ays');
    expect(resolveSchedule('Normal')).toBe('discrete');
    expect(() => resolveSchedule('Beta')).toThrowError(/nearest is "simple"/);
    expect(isAutomatic('Automatic')).toBe(true);
    expect(isAutomatic('karras')).toBe(false);
  });

  it('works as option checkers', () => {
    const spec = { sampler: samplerName(), schedule: scheduleName() };
    expect(checkOptions('x', { sampler: 'DPM++ 2M Karras', schedule: 'Automatic' }, spec)).toEqual({
      sampler: { sampler: 'dpm++2m', schedule: 'karras' },
      schedule: undefined,
    });
    expect(() => checkOptions('x', { sampler: 1, schedule: 'karras' }, spec)).toThrowError(/"sampler"/);
  });
});

describe('editDistance', () => {
  it.each([
    ['', '', 0],
    ['steps', 'setps', 1],
    ['euler', 'eular', 1],
    ['kitten', 'sitting', 3],
    ['abc', '', 3],
  ])('%s to %s is %i', (a, b, distance) => {
    expect(editDistance(a, b)).toBe(distance);
    expect(editDistance(b, a)).toBe(distance);
  });
});
