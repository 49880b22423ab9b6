import type { LoadModelOptions, Model, ModelEvent, Runtime, RuntimeOptions } from '../../lib/index.js';
import type { NativeModelInfo } from '../../lib/native/index.js';
import { type FakeAddon, fakeInfo, type FakeOptions } from './fakeAddon.js';
import { wholeCheckpoint } from './fakeFiles.js';
import { fakeRuntime } from './fakeModel.js';

/** What a FLUX-like model with everything inside is. */
export const flux: Partial<NativeModelInfo> = {
  architecture: 'Flux',
  latentChannels: 16,
  isDit: true,
  prediction: 'flux_flow',
  defaultSampler: 'euler',
  defaultSchedule: 'simple',
  sizeMultiple: 16,
};

export interface TwoModels {
  readonly fake: FakeAddon;
  readonly runtime: Runtime;
  readonly model: Model;
  /** Files of the first model and of the hires checkpoint. */
  readonly a: string;
  readonly b: string;
}

/** Weights of a model, so many bytes each for text encoder, diffusion model and VAE. */
export function weighing(bytes: number): Pick<NativeModelInfo, 'components'> {
  return { components: fakeInfo.components.map((component) => ({ ...component, bytes })) };
}

/** A runtime with one model loaded, and the file of another that differs by `second`. */
export async function twoModels(
  second: Partial<NativeModelInfo> = {},
  options: FakeOptions & { runtime?: RuntimeOptions; load?: LoadModelOptions } = {},
): Promise<TwoModels> {
  const [a, b] = [wholeCheckpoint('a'), wholeCheckpoint('b')];
  const { fake, runtime } = await fakeRuntime({
    ...options,
    infoOf: (files) =>
      files.checkpoint === b || files.diffusionModel === b ? second : (options.infoOf?.(files) ?? {}),
  });
  return { fake, runtime, model: await runtime.loadModel({ checkpoint: a, ...options.load }), a, b };
}

/** Native calls so far: what was done with which file, and how often in a row. */
export function history({ fake, a, b }: TwoModels, ops: readonly string[]): string[] {
  const lines: string[] = [];
  const nameOf = (path: string | undefined): string => (path === a ? 'a' : path === b ? 'b' : '?');
  for (const { op, params, model } of fake.calls) {
    if (!ops.includes(op)) continue;
    const files = op === 'loadModel' ? (params as { files: Loaded }).files : fake.loads.get(model)?.files;
    lines.push(`${op} ${nameOf(files?.diffusionModel ?? files?.checkpoint)}`);
  }
  return lines.flatMap((line, index) => {
    if (lines[index - 1] === line) return [];
    let times = 1;
    while (lines[index + times] === line) times++;
    return [times === 1 ? line : `${String(times)} x ${line}`];
  });
}

interface Loaded {
  readonly checkpoint?: string;
  readonly diffusionModel?: string;
}

/** A listener and what it heard, as `load b`. */
export function heard(): { readonly onModel: (event: ModelEvent) => void; readonly events: string[] } {
  const events: string[] = [];
  return {
    events,
    onModel: ({ action, model }) => void events.push(`${action} ${model.replace(/-\d+$/, '')}`),
  };
}
