import { symlink } from 'node:fs/promises';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ensureEmbeddedModel } from '../../lib/index.js';
import { hashes, tiny, useModel } from '../support/native.js';
import { useScratch } from '../support/scratch.js';
import { modelCalls, request } from './options/calls.js';
import { affordable, settles } from './options/settle.js';
import { options, wild } from './options/values.js';
import { fuzzSettings } from './settings.js';

const { seed, cases } = fuzzSettings('Option fuzz, real addon', 12);
const fixture = useModel({ mmap: true });
const scratch = useScratch(2 ** 20);

describe('the embedded model', () => {
  it('every call with near-valid options: success or a DiffusionError, and the same picture afterwards', {
    timeout: 900_000,
  }, async () => {
    const { model } = fixture;
    // Another checkpoint for all that anybody knows.
    const refiner = scratch.path('refiner.safetensors');
    await symlink((await ensureEmbeddedModel()).checkpoint, refiner);
    const before = hashes(await model.txt2img({ ...tiny, steps: 1 }));
    for (const { name, valid, run } of modelCalls(model, refiner)) {
      const property = fc.asyncProperty(options(valid), async (given) => {
        await settles(name, () => run(model, affordable(given, 64, 1) as never));
      });
      await fc.assert(property, { seed, numRuns: cases, endOnFailure: true });
      expect(model.queue.length).toBe(0);
    }
    expect(hashes(await model.txt2img({ ...tiny, steps: 1 }))).toEqual(before);
  });

  it('prompts of any text', { timeout: 300_000 }, async () => {
    const { model } = fixture;
    const pieces = fc.constantFrom(
      '(',
      ')',
      '[',
      ']',
      ':1.2)',
      ':',
      'BREAK',
      '\\',
      '\\(',
      'B',
      ':.)',
      ':9999999999999999999999999999999999999999)',
      'apple ',
      '😀',
      '，',
      '\n',
      '<|endoftext|>',
      "'s",
      '0',
      '</w>',
    );
    const text = fc
      .array(fc.oneof(pieces, fc.string({ unit: 'grapheme', maxLength: 10 })), { maxLength: 30 })
      .map((list) => list.join(''));
    const property = fc.asyncProperty(text, async (prompt) => {
      await settles('countTokens', () => model.countTokens(prompt));
      await settles('encodePrompt', async () => (await model.encodePrompt({ prompt, negativePrompt: null })).dispose());
    });
    await fc.assert(property, { seed, numRuns: cases * 10, endOnFailure: true });
    const any = fc.asyncProperty(wild, async (prompt) => {
      await settles('txt2img', () => model.txt2img({ ...request, prompt } as never));
    });
    await fc.assert(any, { seed, numRuns: cases, endOnFailure: true });
  });
});
