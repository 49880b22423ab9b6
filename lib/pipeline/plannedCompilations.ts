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

/**
 * What is neither kept nor compiled by a pass before.
 * @param known signatures of what was, by model; grows.
 */
export function newlyCompiled(need: JobNeed, model: string, known: Map<string, Set<number>>): PlannedCompilation[] {
  const seen = known.get(model) ?? new Set<number>();
  known.set(model, seen);
  const bytesOf = new Map<CompiledPart, number>();
  for (const { signature, component, bytes } of need.compiles) {
    if (!seen.has(signature)) bytesOf.set(component, (bytesOf.get(component) ?? 0) + bytes);
    seen.add(signature);
  }
  return [...bytesOf].map(([component, bytes]) => ({ component, model, bytes }));
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
