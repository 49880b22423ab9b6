import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { JobWarning, Model, Runtime } from '../../lib/index.js';
import { createRuntime } from '../../lib/index.js';
import { failure, hashes, threads, tiny, useModel } from '../support/native.js';
import { useScratch } from '../support/scratch.js';
import { writeSynthetic } from '../support/synthetic/index.js';

const fixture = useModel({ mmap: true });
/** CLIP has a token for each of these words. */
const words = (count: number): string => Array.from({ length: count }, () => 'apple').join(' ');

describe('SD 1.x: chunks of 75 tokens, all of them read', () => {
  it.each([
    ['', 0, 1],
    ['a red apple', 3, 1],
    [words(75), 75, 1],
    [words(76), 76, 2],
    [words(200), 200, 3],
    [`${words(2)} BREAK ${words(3)}`, 5, 2],
    ['a (red:1.2) [apple]', 3, 1],
  ])('%j', async (prompt, tokens, chunks) => {
    expect(await fixture.model.countTokens(prompt)).toEqual([
      { encoder: 'clipL', tokens, chunks, chunkTokens: 75, limit: null, cut: '' },
    ]);
  });

  it('a long prompt is used to its end, without a warning', async () => {
    const request = { ...tiny, steps: 1 };
    const long = await fixture.model.txt2img({ ...request, prompt: words(100), strictPrompt: true });
    expect(long.warnings).toEqual([]);
    const other = await fixture.model.txt2img({ ...request, prompt: `${words(99)} moon` });
    expect(hashes(long)).not.toEqual(hashes(other));
    using conditioning = await fixture.model.encodePrompt({ prompt: words(100), negativePrompt: null });
    expect(conditioning.shape).toEqual([1, 154, 768]);
  });
});

describe('FLUX: CLIP-L reads 75 tokens', () => {
  const scratch = useScratch(2e9);
  let runtime: Runtime;
  let model: Model;
  beforeAll(async () => {
    const checkpoint = scratch.path('flux.safetensors');
    await writeSynthetic('flux-narrow', checkpoint, { seed: 1 });
    runtime = await createRuntime({ backend: 'cpu', threads });
    model = await runtime.loadModel({ checkpoint, mmap: true });
  });
  afterAll(() => runtime.dispose());

  it('what is cut is counted and shown', async () => {
    const [clip] = await model.countTokens(`${words(75)} moon rocket`);
    expect(clip).toMatchObject({ encoder: 'clipL', tokens: 77, chunks: 1, limit: 75, cut: 'moon rocket' });
    expect(await model.countTokens(words(75))).toMatchObject([{ tokens: 75, cut: '' }]);
  });

  it('warnings in the result, the stream and the listener; strictPrompt refuses', async () => {
    const prompt = `${words(75)} moon`;
    const heard: string[] = [];
    const request = { ...tiny, steps: 1, prompt, onWarning: ({ message }: JobWarning) => void heard.push(message) };
    const { warnings } = await model.txt2img(request);
    expect(warnings).toMatchObject([
      { type: 'warning', code: 'cut', field: 'prompt', encoder: 'clipL', tokens: 76, limit: 75, cut: 'moon' },
    ]);
    expect(warnings[0]?.message).toContain('moon');
    expect(heard).toEqual([warnings[0]?.message]);
    const types: string[] = [];
    for await (const { type } of model.txt2imgStream(request)) types.push(type);
    expect(types.filter((type) => type === 'warning')).toHaveLength(1);
    const error = await failure(model.txt2img({ ...request, strictPrompt: true }));
    expect(error).toMatchObject({ code: 'ERR_INVALID_PROMPT', field: 'prompt' });
    expect(error.message).toMatch(/76 tokens.*75.*moon/);
    using conditioning = await model.encodePrompt({ prompt, negativePrompt: null });
    expect(conditioning.warnings).toMatchObject([{ field: 'prompt', cut: 'moon' }]);
    expect((await failure(model.encodePrompt({ prompt, strictPrompt: true }))).code).toBe('ERR_INVALID_PROMPT');
  });
});
