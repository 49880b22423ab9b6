import { DiffusionError } from '../errors/index.js';
import {
  formatBytes,
  host,
  type MemoryLedger,
  type Need,
  outOfMemory,
  type Shortage,
  sumBytes,
  totalOf,
  whereOf,
} from '../memory/index.js';
import {
  type NativeAddon,
  type NativeComponent,
  type NativeLoadMemory,
  type NativeLoadOptions,
  runJob,
} from '../native/index.js';

export interface LoadMemoryContext {
  readonly addon: Pick<NativeAddon, 'measureLoad'>;
  readonly ledger: MemoryLedger;
}

/** A load that was let in. */
export interface LoadPlace {
  readonly memoryBudget: number;
  readonly release: () => void;
  /** The weights stay; the result gives them back. */
  readonly settle: (components: readonly NativeComponent[]) => () => void;
}

/** What a load takes, by device. Mapped file pages count under a limit, since they are resident while they are read. */
export function loadNeed(memory: NativeLoadMemory, ledger: MemoryLedger): Need {
  const need = new Map<string, number>([[host, memory.readBuffers + (ledger.limit === undefined ? 0 : memory.mapped)]]);
  for (const { bytes, device } of memory.components) {
    const where = device === '' ? host : device;
    need.set(where, (need.get(where) ?? 0) + bytes);
  }
  return need;
}

/**
 * Takes the memory of a load from the ledger. On a CPU without a limit and spare models nothing is measured first, which would cost a
 * quarter of the load: the addon adds the weights up itself before it gives them memory, and refuses what is too much.
 */
export async function admitLoad(
  context: LoadMemoryContext,
  request: NativeLoadOptions,
  signal: AbortSignal,
): Promise<LoadPlace> {
  const { ledger } = context;
  const settleOf =
    (settle: (bytes: number) => () => void): LoadPlace['settle'] =>
    (components) =>
      settle(sumBytes(components));
  // Where something could leave, the ledger must know how much is wanted.
  const measures = ledger.limit !== undefined || request.device !== host || ledger.spare + ledger.kept > 0;
  const need = measures ? loadNeed(await measureLoad(context, request, signal), ledger) : new Map<string, number>();
  const outcome = await ledger.reserve(need, signal);
  if (!('release' in outcome)) throw await loadRefusal(context, request, outcome, signal);
  return {
    memoryBudget: measures ? totalOf(need) : Math.max(1, ledger.available(host)),
    release: outcome.release,
    settle: settleOf(outcome.settle),
  };
}

/**
 * Says whether weights that are not there could be read if so many bytes were freed; measures once, and reads nothing.
 * @param known what was measured already.
 */
export function admitsLoad(
  context: LoadMemoryContext,
  request: NativeLoadOptions,
  known?: NativeLoadMemory,
): (relief: number, signal: AbortSignal) => Promise<void> {
  let measured = known;
  return async (relief, signal) => {
    measured ??= await measureLoad(context, request, signal);
    const { ledger } = context;
    const shortage = ledger.shortage(loadNeed(measured, ledger), relief);
    if (shortage !== undefined) throw await loadRefusal(context, request, shortage, signal);
  };
}

export function measureLoad(
  { addon }: LoadMemoryContext,
  request: NativeLoadOptions,
  signal: AbortSignal,
): Promise<NativeLoadMemory> {
  return runJob(() => addon.measureLoad(request), signal).promise;
}

/** A refusal of the addon as one with numbers and ways out; any other error as it is. */
export async function explainLoad(
  context: LoadMemoryContext,
  request: NativeLoadOptions,
  error: unknown,
  signal: AbortSignal,
): Promise<unknown> {
  if (!(error instanceof DiffusionError) || error.code !== 'ERR_OUT_OF_MEMORY' || signal.aborted) return error;
  const needed = totalOf(loadNeed(await measureLoad(context, request, signal), context.ledger));
  const available = context.ledger.available(host);
  if (needed <= available) return error;
  return loadRefusal(context, request, { device: host, needed, available, byLimit: false }, signal, error);
}

const partNames: Readonly<Record<NativeComponent['name'], string>> = {
  textEncoder: 'text encoder',
  diffusionModel: 'diffusion model',
  vae: 'VAE',
  previewVae: 'preview VAE',
  controlNet: 'ControlNet',
};

export async function loadRefusal(
  context: LoadMemoryContext,
  request: NativeLoadOptions,
  shortage: Shortage,
  signal: AbortSignal,
  cause?: unknown,
): Promise<DiffusionError> {
  const { components } = await measureLoad(context, request, signal);
  const list = components.map(({ name, bytes }) => `${partNames[name]} ${formatBytes(bytes)}`).join(', ');
  const where = whereOf(context.ledger, shortage);
  const ways = await waysOut(context, request, shortage, signal);
  const last = shortage.byLimit ? 'Raise memoryLimit or dispose of other models' : 'Dispose of other models';
  const hint = `${ways.length > 0 ? ways.join('; or ') : last}.`;
  const message = `Loading the model needs ${formatBytes(shortage.needed)} of memory, ${where}: ${list}. ${hint}`;
  return outOfMemory(message, shortage, hint, cause);
}

/** Load options that were measured and make the load fit. */
async function waysOut(
  context: LoadMemoryContext,
  request: NativeLoadOptions,
  { available }: Shortage,
  signal: AbortSignal,
): Promise<string[]> {
  const bytesWith = async (change: Partial<NativeLoadOptions>): Promise<number> =>
    totalOf(loadNeed(await measureLoad(context, { ...request, ...change }, signal), context.ledger));
  const ways: string[] = [];
  for (const weightType of ['q8_0', 'q4_0']) {
    const bytes = await bytesWith({ weightType });
    if (bytes > available) continue;
    ways.push(`Load it with weightType: '${weightType}', which needs ${formatBytes(bytes)}`);
    break;
  }
  if (!request.vaeDecodeOnly) {
    const bytes = await bytesWith({ vaeDecodeOnly: true });
    if (bytes <= available)
      ways.push(`Leave the VAE's encoder out with vaeDecodeOnly: ${formatBytes(bytes)}, no img2img`);
  }
  return ways;
}
