import { formatBytes } from '../memory/index.js';
import type { CompiledPart, JobNeed } from './needs.js';

/** A graph that will be compiled. */
export interface PlannedCompilation {
  readonly component: 'textEncoder' | 'diffusionModel' | 'vae';
  /** Name of the model that it belongs to. */
  readonly model: string;
  /** Estimated. */
  readonly bytes: number;
}

/** What no pass before has compiled, as MeasureCache.noteCompiled counts: prompts are encoded at no size. */
export function newlyCompiled(need: JobNeed, model: string, size: string, known: Set<string>): PlannedCompilation[] {
  const parts = ['textEncoder', 'diffusionModel', 'vae'] as const;
  return parts.flatMap((component) => {
    const key = JSON.stringify([model, component, component === 'textEncoder' ? '' : size]);
    const bytes = need.compiled[component];
    if (bytes === 0 || known.has(key)) return [];
    known.add(key);
    return [{ component, model, bytes }];
  });
}

const networks: Readonly<Record<CompiledPart, string>> = {
  textEncoder: 'the text encoder',
  diffusionModel: 'the diffusion model',
  vae: 'the VAE',
};

/** For people; `hasCompiler`: the model is compiled by a function of its own, which nobody can ask beforehand. */
export function compilationsText(
  { model, compiles }: { readonly model: string; readonly compiles: readonly PlannedCompilation[] },
  hasCompiler: boolean,
): string {
  if (hasCompiler) return 'what has no entry for this size and LoRA set';
  if (compiles.length === 0) return 'nothing';
  const lines = compiles.map(({ component, model: own, bytes }) => {
    const whose = own === model ? '' : ` of "${own}"`;
    return `${networks[component]}${whose} (about ${formatBytes(bytes)})`;
  });
  return lines.join(', ');
}
