import { type DiffusionError, invalidOption } from '../errors/index.js';
import { checker, type Checker } from './checker.js';
import {
  missingSamplers,
  missingSchedules,
  samplerAliases,
  samplerKey,
  samplerLabels,
  scheduleAliases,
  scheduleLabels,
} from './sampler-names.js';
import { type Sampler, samplers, type Schedule, schedules } from './samplers.js';
import { didYouMean, nearest } from './suggest.js';

function table<T extends string>(
  names: readonly T[],
  labels: Readonly<Record<T, string>>,
  aliases: Readonly<Record<string, T>>,
): ReadonlyMap<string, T> {
  const known = new Map<string, T>(Object.entries(aliases));
  for (const name of names) known.set(samplerKey(labels[name]), name).set(samplerKey(name), name);
  return known;
}

const samplerTable = table(samplers, samplerLabels, samplerAliases);
const scheduleTable = table(schedules, scheduleLabels, scheduleAliases);

/** Schedules that A1111 before 1.9 wrote behind the sampler's name, `DPM++ 2M Karras`, or in short, `k_dpmpp_2m_ka`. */
const scheduleSuffix = /^(?<sampler>.+?)[\s_](?<schedule>karras|ka|exponential|sgm[\s_]?uniform)$/i;

/** A sampler, and the schedule when the name carries one. */
export interface SamplerChoice {
  readonly sampler: Sampler;
  readonly schedule?: Schedule;
}

/**
 * The engine's sampler for a name of the engine, A1111, ComfyUI or diffusers: `euler_a`, `Euler a`,
 * `k_euler_ancestral`, `DPM++ 2M Karras` (which also names the schedule).
 * @throws DiffusionError `ERR_INVALID_OPTION` for unknown names and for samplers the engine lacks, with the nearest.
 */
export function resolveSampler(name: string, field = 'sampler'): SamplerChoice {
  const whole = samplerTable.get(samplerKey(name));
  if (whole !== undefined) return { sampler: whole };
  const parts = scheduleSuffix.exec(name.trim())?.groups;
  if (parts === undefined) throw unknownSampler(name, name, field);
  const sampler = samplerTable.get(samplerKey(parts.sampler ?? ''));
  if (sampler === undefined) throw unknownSampler(name, parts.sampler ?? '', field);
  const suffix = parts.schedule ?? '';
  return { sampler, schedule: resolveSchedule(/^ka$/i.test(suffix) ? 'karras' : suffix, 'schedule') };
}

/**
 * The engine's schedule for a name of the engine, A1111 or ComfyUI: `Align Your Steps` is `ays`.
 * A1111's `Automatic` is no schedule; leave the option out for it (see {@link isAutomatic}).
 * @throws DiffusionError `ERR_INVALID_OPTION` for unknown names and schedules the engine lacks, with the nearest.
 */
export function resolveSchedule(name: string, field = 'schedule'): Schedule {
  const found = scheduleTable.get(samplerKey(name));
  if (found === undefined) throw unknown(name, samplerKey(name), field, schedules, scheduleTable, missingSchedules);
  return found;
}

/** True for the name that stands for "as the sampler likes it" in A1111. */
export function isAutomatic(name: string): boolean {
  return name.trim().toLowerCase() === 'automatic';
}

function unknownSampler(given: string, name: string, field: string): DiffusionError {
  return unknown(given, samplerKey(name), field, samplers, samplerTable, missingSamplers);
}

function unknown<T extends string>(
  given: string,
  key: string,
  field: string,
  names: readonly T[],
  known: ReadonlyMap<string, T>,
  missing: Readonly<Record<string, T>>,
): DiffusionError {
  const allowed = `one of ${names.join(', ')}`;
  const lacking = Object.hasOwn(missing, key) ? missing[key] : undefined;
  if (lacking !== undefined)
    return invalidOption(field, given, allowed, `The engine does not have it; the nearest is "${lacking}".`);
  const near = nearest(key, [...known.keys()]);
  return invalidOption(field, given, allowed, didYouMean(near === undefined ? undefined : known.get(near)));
}

/** Checker of a sampler name; see {@link resolveSampler}. */
export function samplerName(): Checker<SamplerChoice, Sampler | (string & {})> {
  const allowed = `one of ${samplers.join(', ')}`;
  return checker(allowed, (value, field) => {
    if (typeof value !== 'string') throw invalidOption(field, value, allowed);
    return resolveSampler(value, field);
  });
}

/** Checker of a schedule name; `Automatic` gives undefined. See {@link resolveSchedule}. */
export function scheduleName(): Checker<Schedule | undefined, Schedule | (string & {})> {
  const allowed = `one of ${schedules.join(', ')}`;
  return checker(allowed, (value, field) => {
    if (typeof value !== 'string') throw invalidOption(field, value, allowed);
    return isAutomatic(value) ? undefined : resolveSchedule(value, field);
  });
}
