import { isDeepStrictEqual } from 'node:util';
import { oneOf } from '../options/index.js';
import {
  type Attempt,
  fileName,
  type InfotextFiles,
  type InfotextModules,
  moduleIndex,
  modulePairs,
  namedFile,
  readModules,
} from './infotext-names.js';
import { readNumber } from './infotext-values.js';

/** What infotext says about a refiner, by the names of `RefinerOptions`. */
export interface InfotextRefiner {
  readonly checkpoint: string;
  readonly switchAt?: number;
  /** Left out: `steps`. */
  readonly switchBy?: 'steps' | 'timesteps';
  readonly modules?: InfotextModules;
}

/** A1111's keys (`apply_refiner` of its `modules/sd_samplers_common.py`); the modules are ours. */
const refinerKeys = {
  checkpoint: 'Refiner',
  switchAt: 'Refiner switch at',
  /** A1111's: the point is a share of the steps and not of the model's timesteps. */
  bySteps: 'Refiner switch by sampling steps',
  modules: 'Refiner Module',
} as const;
/** Of a second pass whose refiner is not that of the first; A1111 has one for both. */
const secondKeys = {
  checkpoint: 'Hires refiner checkpoint',
  switchAt: 'Hires refiner switch at',
  bySteps: 'Hires refiner switch by sampling steps',
  modules: 'Hires refiner Module',
} as const;
/** A1111's: which of two passes the refiner belongs to. */
const whichKey = 'Hires refiner';
const whichPass = ['first pass', 'second pass', 'both passes'] as const;

type Keys = typeof refinerKeys | typeof secondKeys;
type Parameters = Readonly<Record<string, string>>;

export function isRefinerKey(key: string): boolean {
  const { checkpoint, switchAt, bySteps, modules } = refinerKeys;
  return [checkpoint, switchAt, bySteps].some((known) => known === key) || moduleIndex(key, modules) > 0;
}

/** Keys that only texts with a second pass have. */
export function isHiresRefinerKey(key: string): boolean {
  const { checkpoint, switchAt, bySteps, modules } = secondKeys;
  return [whichKey, checkpoint, switchAt, bySteps].some((known) => known === key) || moduleIndex(key, modules) > 0;
}

/** The pairs of the refiners of a request. */
export function refinerPairs(
  first: InfotextRefiner | undefined,
  second: InfotextRefiner | undefined,
  hires: boolean,
): [string, string][] {
  const shown = first ?? second;
  if (shown === undefined) return [];
  const pairs = pairsOf(shown, refinerKeys);
  if (first === undefined || !hires) return pairs;
  const both = isDeepStrictEqual(plain(first), plain(second));
  pairs.push([whichKey, both ? 'both passes' : 'first pass']);
  return both || second === undefined ? pairs : [...pairs, ...pairsOf(second, secondKeys)];
}

function plain(refiner: InfotextRefiner | undefined): unknown {
  const { modules = 'built-in', switchBy = 'steps' } = refiner ?? {};
  return refiner === undefined ? undefined : { ...refiner, modules, switchBy };
}

function pairsOf({ checkpoint, switchAt, switchBy, modules }: InfotextRefiner, keys: Keys): [string, string][] {
  return [
    [keys.checkpoint, fileName(checkpoint)],
    ...(switchAt === undefined ? [] : [[keys.switchAt, String(switchAt)] as [string, string]]),
    [keys.bySteps, switchBy === 'timesteps' ? 'False' : 'True'],
    ...modulePairs(keys.modules, modules),
  ];
}

export interface ReadRefiners {
  readonly first?: InfotextRefiner;
  readonly second?: InfotextRefiner;
}

/**
 * The refiners that a text tells of. Where there are two passes, A1111's belongs to the second unless the text says
 * otherwise.
 */
export function readRefiners(
  parameters: Parameters,
  hires: boolean,
  files: InfotextFiles | undefined,
  attempt: Attempt,
): ReadRefiners {
  const shown = readOne(parameters, refinerKeys, files, attempt);
  const first = shown === undefined ? {} : { first: shown };
  if (!hires) return first;
  const which = parameters[whichKey];
  const pass =
    which === undefined ? 'second pass' : attempt(() => oneOf(whichPass).check(which, `infotext.${whichKey}`));
  const own = readOne(parameters, secondKeys, files, attempt);
  const second = own ?? (pass === 'first pass' ? undefined : shown);
  return { ...(pass === 'second pass' ? {} : first), ...(second === undefined ? {} : { second }) };
}

function readOne(
  parameters: Parameters,
  keys: Keys,
  files: InfotextFiles | undefined,
  attempt: Attempt,
): InfotextRefiner | undefined {
  const name = Object.hasOwn(parameters, keys.checkpoint) ? parameters[keys.checkpoint] : undefined;
  if (name === undefined || name === 'None') return undefined;
  const checkpoint = attempt(() => namedFile(name, keys.checkpoint, files));
  if (checkpoint === undefined) return undefined;
  const share = Object.hasOwn(parameters, keys.switchAt) ? parameters[keys.switchAt] : undefined;
  const switchAt = share === undefined ? undefined : attempt(() => readNumber(share, `infotext.${keys.switchAt}`));
  const modules = readModules(parameters, keys.modules, files, attempt);
  return {
    checkpoint,
    ...(switchAt === undefined ? {} : { switchAt }),
    ...(byTimesteps(parameters, keys.bySteps) ? { switchBy: 'timesteps' } : {}),
    ...(modules === undefined ? {} : { modules }),
  };
}

/**
 * A1111 tells of steps only. Since 1.9 it counts timesteps otherwise; it reads texts of versions before 1.8 as if they
 * said steps (`backcompat` of its `modules/infotext_versions.py`). Texts of other programs mean steps: Forge's version
 * begins with an f.
 */
function byTimesteps(parameters: Parameters, key: string): boolean {
  const said = Object.hasOwn(parameters, key) ? parameters[key] : undefined;
  if (said !== undefined) return said.toLowerCase() === 'false';
  const [, major, minor] = /^v?(\d+)\.(\d+)/.exec(parameters.Version ?? '') ?? [];
  return major !== undefined && (Number(major) > 1 || (Number(major) === 1 && Number(minor) >= 8));
}
