import { pathToFileURL } from 'node:url';
import { resolve } from 'node:path';
import { describe, expect, expectTypeOf, it } from 'vitest';
import { DiffusionError } from '../../lib/errors/index.js';
import {
  arrayOf,
  boolean,
  checkOptions,
  filePath,
  floatArray,
  func,
  type Given,
  integer,
  nullable,
  number,
  object,
  oneOf,
  optional,
  prompt,
  recordOf,
  sigmas,
  signal,
  size,
  text,
  union,
} from '../../lib/options/index.js';

/** The error a function throws; fails when it throws something else or nothing. */
function thrown(action: () => unknown): DiffusionError {
  try {
    action();
  } catch (error) {
    if (error instanceof DiffusionError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

const spec = {
  prompt: prompt(),
  negativePrompt: prompt({ default: '' }),
  steps: integer({ min: 1, max: 1000, default: 20 }),
  cfgScale: number({ min: 0, max: 100, default: 7 }),
  batchSize: integer({ min: 1, default: 1 }),
  denoisingStrength: optional(number({ min: 0, max: 1 })),
  sampler: optional(oneOf(['euler', 'euler_a'], { aliases: { 'Euler a': 'euler_a' } })),
  signal: optional(signal()),
};
const check = (given: unknown) => checkOptions('txt2img', given, spec);

describe('checkOptions', () => {
  it('fills in defaults, leaves optional keys out, freezes, and infers the type', () => {
    const result = check({ prompt: 'a red apple', sampler: 'EULER A' });
    expect(result).toEqual({
      prompt: 'a red apple',
      negativePrompt: '',
      steps: 20,
      cfgScale: 7,
      batchSize: 1,
      sampler: 'euler_a',
    });
    expect(Object.isFrozen(result)).toBe(true);
    expect(Object.hasOwn(result, 'denoisingStrength')).toBe(false);
    expectTypeOf(result.steps).toEqualTypeOf<number>();
    expectTypeOf(result.prompt).toEqualTypeOf<string>();
    expectTypeOf(result.sampler).toEqualTypeOf<'euler' | 'euler_a' | undefined>();
    expectTypeOf<{ prompt: string }>().toExtend<Given<typeof spec>>();
    expectTypeOf<{ steps: number }>().not.toExtend<Given<typeof spec>>();
  });

  it('takes undefined for "left out", and no options at all when none is required', () => {
    expect(check({ prompt: '', steps: undefined, sampler: undefined })).toMatchObject({ steps: 20 });
    expect(checkOptions('x', undefined, { a: boolean({ default: true }) })).toEqual({ a: true });
    expect(thrown(() => check({})).code).toBe('ERR_INVALID_PROMPT');
  });

  it.each([
    ['negative_prompt', 'negativePrompt'],
    ['negitivePrompt', 'negativePrompt'],
    ['cfg', 'cfgScale'],
    ['guidance_scale', 'cfgScale'],
    ['num_inference_steps', 'steps'],
    ['setps', 'steps'],
    ['sampler_name', 'sampler'],
    ['denoising_strength', 'denoisingStrength'],
    ['strength', 'denoisingStrength'],
    ['n_iter', 'batchSize'],
    ['batch_size', 'batchSize'],
    ['Prompt', 'prompt'],
  ])('suggests for %s the option %s', (wrong, right) => {
    const error = thrown(() => check({ prompt: '', [wrong]: 1 }));
    expect(error).toMatchObject({ code: 'ERR_INVALID_OPTION', field: wrong, hint: `Did you mean "${right}"?` });
    expect(error.message).toContain('txt2img');
  });

  it('lists the options when nothing is near', () => {
    const error = thrown(() => check({ prompt: '', zzzzzzzz: 1 }));
    expect(error.hint).toContain('denoisingStrength');
    expect(thrown(() => check({ prompt: '', ['x'.repeat(1e6)]: 1 })).code).toBe('ERR_INVALID_OPTION');
  });

  it.each([null, 5, 'prompt', [1]])('refuses %j in place of an object', (given) => {
    expect(thrown(() => check(given))).toMatchObject({ code: 'ERR_INVALID_OPTION', field: 'txt2img' });
  });

  it.each([
    ['steps', NaN],
    ['steps', Infinity],
    ['steps', 1.5],
    ['steps', 0],
    ['steps', 1001],
    ['steps', '20'],
    ['steps', 20n],
    ['steps', null],
    ['cfgScale', NaN],
    ['cfgScale', -0.1],
    ['sampler', 'eular'],
    ['sampler', 3],
    ['signal', new AbortController()],
  ])('refuses %s = %s and names the field, the value and what is allowed', (field, value) => {
    const error = thrown(() => check({ prompt: '', [field]: value }));
    expect(error.code).toBe('ERR_INVALID_OPTION');
    expect(error.field).toBe(field);
    expect(error.given).toBe(value);
    expect(error.message).toContain(`"${field}"`);
    expect(error.message).toContain(error.allowed);
  });

  it('reads every value once', () => {
    let reads = 0;
    const given = {
      prompt: '',
      get steps() {
        return ++reads;
      },
    };
    expect(check(given).steps).toBe(1);
    expect(reads).toBe(1);
  });
});

describe('prompts and text', () => {
  const one = (value: unknown) => checkOptions('x', { value }, { value: prompt() }).value;

  it.each(['', 'a\nb', '日本 😀', '\u00e9'])('accepts %j', (value) => {
    expect(one(value)).toBe(value);
  });

  it.each([['a\u0000b'], ['\ud83d'], ['\ude00\ud83d'], ['x'.repeat(1_048_577)], [5], [null]])(
    'refuses what cannot go to the engine',
    (value) => {
      expect(thrown(() => one(value))).toMatchObject({ code: 'ERR_INVALID_PROMPT', field: 'value' });
    },
  );

  it('text refuses the same with ERR_INVALID_OPTION, and empty text on request', () => {
    const bad = (value: string) => thrown(() => checkOptions('x', { value }, { value: text({ allowEmpty: false }) }));
    expect(bad('a\u0000').code).toBe('ERR_INVALID_OPTION');
    expect(bad('').allowed).toBe('a non-empty string');
  });
});

describe('paths', () => {
  const one = (value: unknown) => checkOptions('x', { value }, { value: filePath() }).value;

  it('makes paths and file URLs absolute', () => {
    expect(one('a b.png')).toBe(resolve('a b.png'));
    expect(one(pathToFileURL(resolve('ü#%.png')))).toBe(resolve('ü#%.png'));
  });

  it.each([[''], ['a\u0000b'], [new URL('https://example.com/a.png')], ['https://example.com/a.png'], [7]])(
    'refuses %s',
    (value) => {
      expect(thrown(() => one(value))).toMatchObject({ code: 'ERR_INVALID_OPTION', field: 'value' });
    },
  );
});

describe('composed checkers', () => {
  const composed = {
    hires: optional(object({ steps: integer({ min: 1, default: 5 }), scale: number() })),
    layers: optional(arrayOf(integer({ min: 0 }), { min: 1, max: 3 })),
    tiling: optional(union([boolean(), object({ overlap: number({ min: 0, max: 0.5, default: 0.5 }) })])),
    rules: optional(recordOf(oneOf(['f16', 'q8_0']))),
    callback: optional(func<(x: number) => void>()),
    nothing: optional(nullable(integer())),
    width: optional(size({ multipleOf: 8, max: 64 })),
  };
  const run = (given: unknown) => checkOptions('x', given, composed);

  it('accepts and copies', () => {
    const layers = [7, 8];
    const callback = () => undefined;
    const result = run({
      hires: { scale: 2 },
      layers,
      tiling: {},
      rules: { a: 'F16' },
      callback,
      nothing: null,
      width: 16,
    });
    layers.push(9);
    expect(result).toEqual({
      hires: { steps: 5, scale: 2 },
      layers: [7, 8],
      tiling: { overlap: 0.5 },
      rules: { a: 'f16' },
      callback,
      nothing: null,
      width: 16,
    });
    expect(run({ tiling: true }).tiling).toBe(true);
  });

  it.each([
    [{ hires: { scale: 2, steps: 0 } }, 'hires.steps'],
    [{ hires: { scael: 2 } }, 'hires.scael'],
    [{ hires: {} }, 'hires.scale'],
    [{ hires: [] }, 'hires'],
    [{ layers: [1, 'a'] }, 'layers[1]'],
    [{ layers: [] }, 'layers'],
    // eslint-disable-next-line no-sparse-arrays
    [{ layers: [1, , 2] }, 'layers[1]'],
    [{ tiling: { overlap: 0.6 } }, 'tiling'],
    [{ rules: { a: 'f61' } }, 'rules.a'],
    [{ callback: 1 }, 'callback'],
    [{ width: 12 }, 'width'],
  ])('%j is refused at %s', (given, field) => {
    expect(thrown(() => run(given))).toMatchObject({ code: 'ERR_INVALID_OPTION', field });
  });

  it('hints at the multiples around a size, inside the range only', () => {
    expect(thrown(() => run({ width: 12 })).hint).toBe('Use 8 or 16.');
    expect(thrown(() => run({ width: 63 })).hint).toBe('Use 56 or 64.');
  });

  it('union can say which form is meant, for a precise error', () => {
    const forms = union([boolean(), object({ overlap: number() })], (value) => (typeof value === 'object' ? 1 : -1));
    expect(thrown(() => forms.check({ overlap: 'x' }, 'tiling')).field).toBe('tiling.overlap');
  });
});

describe('float arrays', () => {
  const levels = (value: unknown) => checkOptions('x', { value }, { value: sigmas(4) }).value;

  it('copies into a Float32Array', () => {
    const given = new Float32Array([3, 1, 0]);
    const result = levels(given);
    given[0] = 9;
    expect([...result]).toEqual([3, 1, 0]);
    expect([...checkOptions('x', { value: [0.5] }, { value: floatArray() }).value]).toEqual([0.5]);
  });

  it.each([
    [[3, 3, 0], 'value[1]'],
    [[1, 2, 0], 'value[1]'],
    [[3, 1, 0.1], 'value[2]'],
    [[3, NaN, 0], 'value[1]'],
    [[Infinity, 0], 'value[0]'],
    [[1e39, 0], 'value[0]'],
    [[1 + 1e-12, 1, 0], 'value[1]'],
    [[0], 'value'],
    [[5, 4, 3, 2, 1, 0], 'value'],
    [new Float64Array([1, 0]), 'value'],
  ])('%j is refused at %s', (value, field) => {
    expect(thrown(() => levels(value))).toMatchObject({ code: 'ERR_INVALID_OPTION', field });
  });
});
