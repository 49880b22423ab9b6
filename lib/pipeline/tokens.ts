import { DiffusionError } from '../errors/index.js';
import type { JobScope, NativeTokenCount } from '../native/index.js';
import { checkOptions, prompt as promptText } from '../options/index.js';
import type { PromptWarning } from './events.js';
import type { PipelineModel } from './modes.js';
import { needsUncond, type Pass } from './plan.js';
import type { ModelContext } from './prompts.js';
import { jobSpec } from './spec.js';
import type { CountTokensOptions, TokenCount } from './operations.js';

/** No text encoder makes more tokens than the text has bytes, and none reads fewer than CLIP's 75. */
const alwaysFits = 75;

function published({ encoder, tokens, chunks, chunkTokens, limit, cut }: NativeTokenCount): TokenCount {
  return { encoder, tokens, chunks, chunkTokens, limit: limit === 0 ? null : limit, cut };
}

/** Counts a prompt as the text encoders of the model will get it. */
export async function countTokens(
  model: PipelineModel,
  prompt: unknown,
  given: CountTokensOptions,
): Promise<readonly TokenCount[]> {
  const { native, queue } = model;
  queue.assertOpen();
  const { signal, onQueue } = checkOptions('countTokens', given, { signal: jobSpec.signal, onQueue: jobSpec.onQueue });
  const text = promptText().check(prompt, 'prompt');
  signal?.throwIfAborted();
  return queue.enqueue('countTokens', { signal, onQueue }, async (scope) => {
    const counts = await scope.run(() => native.countTokens({ prompt: text }));
    return counts.map(published);
  });
}

export interface GivenPrompt {
  readonly field: PromptWarning['field'];
  readonly text: string;
}

/**
 * What the text encoders will not read of the prompts.
 * @throws DiffusionError `ERR_INVALID_PROMPT` when `strict` and there is any.
 */
export async function promptWarnings(
  { native }: ModelContext,
  scope: JobScope,
  prompts: readonly GivenPrompt[],
  strict: boolean,
): Promise<readonly PromptWarning[]> {
  const warnings: PromptWarning[] = [];
  for (const { field, text } of prompts) {
    if (Buffer.byteLength(text) <= alwaysFits) continue;
    const counts = await scope.run(() => native.countTokens({ prompt: text }));
    for (const count of counts.map(published)) {
      const { encoder, tokens, limit, cut } = count;
      if (limit === null || tokens <= limit) continue;
      const message = `${field} has ${tokens} tokens, of which ${encoder} reads ${limit}; it does not see "${shorten(cut)}".`;
      if (strict) {
        const allowed = `at most ${limit} tokens for ${encoder}`;
        const hint = 'Shorten it, or leave strictPrompt out to have it reported as a warning.';
        throw new DiffusionError('ERR_INVALID_PROMPT', `Invalid prompt: ${message} ${hint}`, {
          field,
          given: text,
          allowed,
          hint,
        });
      }
      warnings.push({ type: 'warning', code: 'cut', field, encoder, tokens, limit, cut, message });
    }
  }
  return warnings;
}

/** What the text encoder will not read of a pass's prompts; `later` marks those of a later pass of the job. */
export function passWarnings(
  context: ModelContext,
  scope: JobScope,
  pass: Pass,
  strict: boolean,
  later: boolean,
): Promise<readonly PromptWarning[]> {
  const prompts: GivenPrompt[] = [{ field: later ? 'hires.prompt' : 'prompt', text: pass.prompt }];
  if (needsUncond(pass.sampling))
    prompts.push({ field: later ? 'hires.negativePrompt' : 'negativePrompt', text: pass.negativePrompt });
  return promptWarnings(context, scope, prompts, strict);
}

function shorten(text: string): string {
  const longest = 200;
  return text.length > longest ? `${text.slice(0, longest)}…` : text;
}
