import { formatBytes, host, sumBytes } from '../memory/index.js';
import { JobScope } from '../native/index.js';
import { chooseTilings, measureNeed } from './admission.js';
import { type Drafted, draftRequest } from './draft.js';
import { reliefOf } from './foresee.js';
import { enlargeStage } from './hires/enlargement.js';
import { noInputs } from './inputs.js';
import { modelsOf } from './models.js';
import { checkRequest, type PipelineModel } from './modes.js';
import type { Pass } from './plan.js';
import type { ModelContext, Presence } from './prompts.js';
import type { PassMode } from './request.js';
import { shapeOf } from './shape.js';
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
  /** Steps that are really run. */
  readonly steps: number;
  readonly cfgScale: number;
  readonly denoisingStrength: number | null;
  readonly seeds: readonly number[];
  /** A1111's name; null for a pass that begins with noise or the pictures of the request. */
  readonly upscaler: string | null;
  /** Most bytes that the pass takes beside the weights. */
  readonly memory: number;
}

/** A request as it will be run. Nothing has been loaded or computed for it. */
export interface RequestPlan {
  readonly passes: readonly PlannedPass[];
  /** Models that leave memory so that others have room, by name. */
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
  const leaves = unloadsOf(drafted);
  const passes: PlannedPass[] = [];
  for (const [index, pass] of drafted.plan.passes.entries())
    passes.push(await planned(drafted, pass, index, leaves, scope));
  const unloads = leaves.map(({ name }) => name);
  const { first, second } = drafted.models;
  const apart = second === undefined || (first.presence !== undefined && leaves.includes(first.presence));
  const together = apart ? [first] : [first, second];
  const enlarging = drafted.models.upscaler?.presence.bytes ?? 0;
  const sets = [together, ...(second === undefined ? [] : [[second]])];
  const weights = enlarging + Math.max(...sets.map((all) => bytesOf(all)));
  const peak = weights + Math.max(...passes.map(({ memory }) => memory));
  const warnings = drafted.warnings.map(({ message }) => message);
  const plan = { passes: Object.freeze(passes), unloads, peak, warnings };
  return Object.freeze({ ...plan, explain: () => explained(plan, drafted) });
}

function bytesOf(models: readonly ModelContext[]): number {
  return sumBytes(models.flatMap(({ facts }) => facts.components));
}

async function planned(
  drafted: Drafted,
  pass: Pass,
  index: number,
  leaves: readonly Presence[],
  scope: JobScope,
): Promise<PlannedPass> {
  const { diffusionModel: model } = modelsOf(pass, drafted.models);
  const { plan } = drafted;
  const { presence } = model;
  // The second model can have to leave for the first, and come back.
  const loaded = presence === undefined || (presence.loaded && (index === 0 || !leaves.includes(presence)));
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
    loaded,
    loras: (pass.loras ?? model.weights.baseSet).loras.map(({ lora }) => lora.name),
    merges,
    sampler: pass.sampling.sampler,
    schedule: pass.sampling.schedule,
    steps: passSteps(pass),
    cfgScale: pass.sampling.cfgScale,
    denoisingStrength: pass.denoisingStrength,
    seeds: pass.seeds,
    upscaler: pass.start?.upscaler.label ?? null,
    memory: await memoryOf(drafted, pass, index, scope),
  };
}

async function memoryOf(
  { plan, inputs, tiling, models }: Drafted,
  pass: Pass,
  index: number,
  scope: JobScope,
): Promise<number> {
  const own = modelsOf(pass, models);
  const { diffusionModel: model } = own;
  const enlarge = await enlargeStage(pass, own, scope);
  const shape = { ...shapeOf(pass, plan, inputs[index] ?? noInputs, model.facts), enlarge };
  const tilings = await chooseTilings(model, scope, shape, tiling, reliefOf(own, models.first));
  return (await measureNeed(model, scope, shape, tilings)).peak;
}

/** What leaves memory so that the models of the passes can come, in the order of the job. */
function unloadsOf({ models: { first, second, upscaler }, plan }: Drafted): Presence[] {
  const { ledger } = first.memory;
  const leaves: Presence[] = [];
  /** Freed so far, less what was read in its place. */
  let balance = 0;
  const read = (presence: Presence | undefined, leavers: readonly (Presence | undefined)[]): void => {
    if (presence === undefined || (presence.loaded && !leaves.includes(presence))) return;
    const need = new Map([[host, presence.bytes]]);
    for (const leaver of leavers) {
      if (ledger.shortage(need, balance) === undefined) break;
      if (leaver === undefined || leaver === presence || leaves.includes(leaver)) continue;
      leaves.push(leaver);
      balance += leaver.bytes;
    }
    balance -= presence.bytes;
  };
  const { passes } = plan;
  const rivals = first.presence?.rivals ?? [];
  if (passes[0].parts.diffusionModel === 'first') read(first.presence, rivals);
  const last = passes.at(-1)?.parts;
  const keeps = last !== undefined && Object.values(last).includes('first');
  const others = keeps ? rivals : [...rivals, first.presence];
  if (second !== undefined) read(second.presence, others);
  read(
    upscaler?.presence,
    others.filter((other) => other !== second?.presence),
  );
  return leaves;
}

function explained(plan: Omit<RequestPlan, 'explain'>, { models }: Drafted): string {
  const lines: string[] = [];
  for (const [index, pass] of plan.passes.entries()) {
    const context = index === 0 ? models.first : (models.second ?? models.first);
    lines.push(
      `pass ${String(index + 1)}: ${pass.mode} ${String(pass.width)}x${String(pass.height)} with "${pass.model}"`,
    );
    const weights = formatBytes(bytesOf([context]));
    lines.push(pass.loaded ? `  weights: in memory (${weights})` : `  weights: read from disk (${weights})`);
    const names = pass.loras.length === 0 ? 'none' : pass.loras.join(', ');
    lines.push(`  LoRAs: ${names}${pass.merges ? ', the weights are changed first' : ''}`);
    if (pass.upscaler !== null) {
      const { presence } = models.upscaler ?? {};
      const read = presence === undefined ? '' : `, ${presence.loaded ? 'in memory' : 'read from disk'}`;
      const own = presence === undefined ? '' : ` (${formatBytes(presence.bytes)}${read})`;
      lines.push(`  begins with the results of the pass before, enlarged by "${pass.upscaler}"${own}`);
    }
    const strength = pass.denoisingStrength === null ? '' : `, denoising strength ${String(pass.denoisingStrength)}`;
    lines.push(
      `  ${String(pass.seeds.length)} x ${String(pass.steps)} steps of ${pass.sampler}, ${pass.schedule}, CFG ${String(pass.cfgScale)}${strength}`,
    );
    lines.push(
      `  compiles: ${context.compiler === undefined ? 'nothing' : 'what has no entry for this size and LoRA set'}`,
    );
    lines.push(`  memory: ${formatBytes(pass.memory)}`);
  }
  for (const name of plan.unloads)
    lines.push(`"${name}" leaves memory before its successor is read, and comes back when it is needed`);
  if (plan.passes.length > 1 && plan.unloads.length === 0) lines.push('all models stay in memory');
  lines.push(`peak: ${formatBytes(plan.peak)}`);
  lines.push(...plan.warnings.map((warning) => `warning: ${warning}`));
  return lines.join('\n');
}
