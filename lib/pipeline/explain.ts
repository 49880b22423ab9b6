import { formatBytes } from '../memory/index.js';
import { JobScope } from '../native/index.js';
import { chooseTilings, measureNeed } from './admission.js';
import { arrangePasses } from './arrange.js';
import { type Drafted, draftRequest } from './draft.js';
import { reliefOf } from './foresee.js';
import type { PassGroup, Weighty } from './groups.js';
import { modelsOf } from './models.js';
import { checkRequest, type PipelineModel } from './modes.js';
import { passParts } from './passParts.js';
import { compilationsText, newlyCompiled, type PlannedCompilation } from './plannedCompilations.js';
import type { PassMode } from './request.js';
import { bytesOf, residencyOf } from './residency.js';
import { passSteps } from './steps.js';

/** What one pass of a request will do. */
export interface PlannedPass {
  readonly mode: PassMode;
  /** Pixels. */
  readonly width: number;
  readonly height: number;
  /** Name of the model. */
  readonly model: string;
  /** False: its weights are read first. */
  readonly loaded: boolean;
  /** LoRAs in the weights, by name. */
  readonly loras: readonly string[];
  /** True: the weights are changed first. */
  readonly merges: boolean;
  readonly sampler: string;
  readonly schedule: string;
  /** Steps of a run that it goes on with; 0 for a pass that begins one, not 0 for a refiner. */
  readonly stepsBefore: number;
  /** Steps that are really run. */
  readonly steps: number;
  readonly cfgScale: number;
  readonly denoisingStrength: number | null;
  readonly seeds: readonly number[];
  /** A1111's name; null for a pass that begins with noise or the pictures of the request. */
  readonly upscaler: string | null;
  /** Most bytes that the pass takes beside the weights. */
  readonly memory: number;
  /**
   * Networks that the backend will compile for the pass, as far as is known, and the bytes that it will keep of each;
   * none with a backend that does not compile, and for what a pass before it has compiled.
   */
  readonly compiles: readonly PlannedCompilation[];
}

/** A request as it will be run. Nothing has been loaded or computed for it. */
export interface RequestPlan {
  readonly passes: readonly PlannedPass[];
  /** Models that leave memory so that others have room, by name, in the order of the job; one can leave and come back. */
  readonly unloads: readonly string[];
  /** Most bytes at one time: weights that are in memory then, and the largest pass. */
  readonly peak: number;
  readonly warnings: readonly string[];
  /** The same as text, a line for each thing that will be done. */
  explain(): string;
}

/**
 * Plans a request: every option is checked, files are found and their headers read, memory is measured, which takes no
 * weights. The mode is that of the request's pictures.
 */
export async function planRequest(model: PipelineModel, request: unknown, mode: PassMode): Promise<RequestPlan> {
  model.queue.assertOpen();
  const options = checkRequest(mode, request, model.facts);
  const { signal } = options;
  signal?.throwIfAborted();
  const drafted = await draftRequest(model, mode, options, options.onPreview !== undefined, signal);
  const scope = new JobScope(signal ?? new AbortController().signal);
  const groups = await arrangePasses(drafted, scope);
  const { reads, leaves, weights } = residencyOf(drafted, groups);
  const passes: PlannedPass[] = [];
  const compiled = new Map<string, Set<number>>();
  for (const [place, group] of groups.entries())
    for (const index of group.indices)
      passes.push(
        await planned(drafted, group, index, index === group.indices[0] ? reads[place] : undefined, compiled, scope),
      );
  const unloads = leaves.map(({ name }) => name);
  const peak = weights + Math.max(...passes.map(({ memory }) => memory), ...groups.map(({ graphs }) => graphs));
  const warnings = drafted.warnings.map(({ message }) => message);
  const plan = { passes: Object.freeze(passes), unloads, peak, warnings };
  return Object.freeze({ ...plan, explain: () => explained(plan, drafted, groups, reads) });
}

async function planned(
  drafted: Drafted,
  group: PassGroup,
  index: number,
  reads: ReadonlySet<Weighty> | undefined,
  compiled: Map<string, Set<number>>,
  scope: JobScope,
): Promise<PlannedPass> {
  const { plan, models } = drafted;
  const pass = plan.passes[index];
  if (pass === undefined) throw new RangeError('No such pass');
  const { diffusionModel: model } = modelsOf(pass, models);
  const before = plan.passes[index - 1];
  const merges =
    before?.parts.diffusionModel === pass.parts.diffusionModel
      ? model.weights.keyOf(before.loras) !== model.weights.keyOf(pass.loras)
      : !model.weights.isCurrent(pass.loras);
  return {
    mode: pass.mode,
    width: pass.width,
    height: pass.height,
    model: model.facts.name,
    loaded: reads?.has(model) !== true,
    loras: (pass.loras ?? model.weights.baseSet).loras.map(({ lora }) => lora.name),
    merges,
    sampler: pass.sampling.sampler,
    schedule: pass.sampling.schedule,
    stepsBefore: pass.span?.from ?? 0,
    steps: passSteps(pass),
    cfgScale: pass.sampling.cfgScale,
    denoisingStrength: pass.denoisingStrength,
    seeds: pass.seeds,
    upscaler: pass.start?.upscaler.label ?? null,
    ...(await memoryOf(drafted, group, index, compiled, scope)),
  };
}

/** Most that a part of a pass takes, one after the other, and what is compiled for it. */
async function memoryOf(
  drafted: Drafted,
  group: PassGroup,
  index: number,
  compiled: Map<string, Set<number>>,
  scope: JobScope,
): Promise<Pick<PlannedPass, 'memory' | 'compiles'>> {
  const { models, tiling } = drafted;
  const parts = await passParts(drafted, group, index, scope);
  const relief = await reliefOf({ weights: group.weights, first: models.first, parts }, scope, tiling);
  let memory = 0;
  const compiles: PlannedCompilation[] = [];
  for (const { admitter, shape } of parts) {
    const tilings = await chooseTilings(admitter, scope, shape, tiling, relief);
    const need = await measureNeed(admitter, scope, shape, tilings);
    memory = Math.max(memory, need.peak);
    compiles.push(...newlyCompiled(need, admitter.facts.name, compiled));
  }
  return { memory, compiles: Object.freeze(compiles) };
}

function explained(
  plan: Omit<RequestPlan, 'explain'>,
  { models, plan: { passes } }: Drafted,
  groups: readonly PassGroup[],
  reads: readonly ReadonlySet<Weighty>[],
): string {
  const lines: string[] = [];
  const contexts = passes.map((pass) => modelsOf(pass, models).diffusionModel);
  for (const [index, pass] of plan.passes.entries()) {
    const context = contexts[index] ?? models.first;
    lines.push(
      `pass ${String(index + 1)}: ${pass.mode} ${String(pass.width)}x${String(pass.height)} with "${pass.model}"`,
    );
    const weights = formatBytes(bytesOf([context]));
    lines.push(pass.loaded ? `  weights: in memory (${weights})` : `  weights: read from disk (${weights})`);
    const names = pass.loras.length === 0 ? 'none' : pass.loras.join(', ');
    lines.push(`  LoRAs: ${names}${pass.merges ? ', the weights are changed first' : ''}`);
    const next = plan.passes[index + 1];
    if (pass.stepsBefore > 0)
      lines.push(`  goes on with the latents of the pass before, after step ${String(pass.stepsBefore)}`);
    if (next !== undefined && next.stepsBefore > 0)
      lines.push(`  stops after step ${String(next.stepsBefore)} of ${String(next.stepsBefore + next.steps)}`);
    if (pass.upscaler !== null) {
      const { upscaler } = models;
      const where = reads.some((read) => upscaler !== undefined && read.has(upscaler)) ? 'read from disk' : 'in memory';
      const own = upscaler === undefined ? '' : ` (${formatBytes(bytesOf([upscaler]))}, ${where})`;
      lines.push(`  begins with the results of the pass before, enlarged by "${pass.upscaler}"${own}`);
      if (groups.some(({ enlarges }) => enlarges === index))
        lines.push('  all are enlarged before the weights come, since there is no room for both');
    }
    const strength = pass.denoisingStrength === null ? '' : `, denoising strength ${String(pass.denoisingStrength)}`;
    lines.push(
      `  ${String(pass.seeds.length)} x ${String(pass.steps)} steps of ${pass.sampler}, ${pass.schedule}, CFG ${String(pass.cfgScale)}${strength}`,
    );
    lines.push(`  compiles: ${compilationsText(pass, context.compiler !== undefined)}`);
    lines.push(`  memory: ${formatBytes(pass.memory)}`);
  }
  for (const name of plan.unloads)
    lines.push(`"${name}" leaves memory before its successor is read, and comes back when it is needed`);
  if (plan.passes.length > 1 && plan.unloads.length === 0) lines.push('all models stay in memory');
  lines.push(`peak: ${formatBytes(plan.peak)}`);
  lines.push(...plan.warnings.map((warning) => `warning: ${warning}`));
  return lines.join('\n');
}
