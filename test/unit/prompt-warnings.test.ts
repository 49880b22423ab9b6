import { describe, expect, it } from 'vitest';
import { DiffusionError, type GenerateEvent, type JobWarning } from '../../lib/index.js';
import { fakeModel } from '../support/fakeModel.js';

const words = (count: number): string => Array.from({ length: count }, (_, index) => `word${String(index)}`).join(' ');
const request = { prompt: words(100), width: 64, height: 64, steps: 1 };

describe('prompts that a text encoder cuts', () => {
  it('are reported in the result, by the listener and in the stream, before any picture', async () => {
    const { model, runtime } = await fakeModel({ promptLimit: 99 });
    const heard: JobWarning[] = [];
    const { warnings } = await model.txt2img({ ...request, onWarning: (warning) => void heard.push(warning) });
    const message = 'prompt has 100 tokens, of which clipL reads 99; it does not see "word99".';
    const expected = {
      type: 'warning',
      code: 'cut',
      field: 'prompt',
      encoder: 'clipL',
      tokens: 100,
      limit: 99,
      cut: 'word99',
      message,
    };
    expect(warnings).toEqual([expected]);
    expect(heard).toEqual([expected]);
    const events: GenerateEvent['type'][] = [];
    for await (const { type } of model.txt2imgStream(request)) events.push(type);
    expect(events.indexOf('warning')).toBeGreaterThanOrEqual(0);
    expect(events.indexOf('warning')).toBeLessThan(events.indexOf('image'));
    await runtime.dispose();
  });

  it('strictPrompt refuses before anything is encoded', async () => {
    const { fake, model, runtime } = await fakeModel({ promptLimit: 99 });
    const error: unknown = await model.txt2img({ ...request, strictPrompt: true }).catch((cause: unknown) => cause);
    expect(error).toBeInstanceOf(DiffusionError);
    expect(error).toMatchObject({
      code: 'ERR_INVALID_PROMPT',
      field: 'prompt',
      allowed: 'at most 99 tokens for clipL',
    });
    expect(fake.of('encodePrompt')).toHaveLength(0);
    await runtime.dispose();
  });

  it('the negative prompt counts only where it is used', async () => {
    const { model, runtime } = await fakeModel({ promptLimit: 99 });
    const negative = { ...request, prompt: 'x', negativePrompt: words(101) };
    expect((await model.txt2img({ ...negative, cfgScale: 1 })).warnings).toEqual([]);
    expect((await model.txt2img({ ...negative, cfgScale: 2 })).warnings).toMatchObject([{ field: 'negativePrompt' }]);
    using conditioning = await model.encodePrompt({ prompt: 'x', negativePrompt: words(101) });
    expect(conditioning.warnings).toMatchObject([{ field: 'negativePrompt', cut: 'word99 word100' }]);
    await runtime.dispose();
  });

  it('short prompts are not counted at all', async () => {
    const { fake, model, runtime } = await fakeModel({ promptLimit: 1 });
    expect((await model.txt2img({ ...request, prompt: 'a red apple' })).warnings).toEqual([]);
    expect(fake.of('countTokens')).toHaveLength(0);
    await runtime.dispose();
  });
});

it('countTokens gives one entry per encoder, with null for no limit', async () => {
  const { model, runtime } = await fakeModel();
  expect(await model.countTokens(words(76))).toEqual([
    { encoder: 'clipL', tokens: 76, chunks: 2, chunkTokens: 75, limit: null, cut: '' },
  ]);
  await expect(model.countTokens('a\u0000')).rejects.toMatchObject({ code: 'ERR_INVALID_PROMPT', field: 'prompt' });
  await runtime.dispose();
});
