import type { TensorHeader } from '../model/index.js';
import type { NativeDelta, NativeLoraPart, NativeTensorInfo } from '../native/index.js';
import type { LoraModule, PartName } from './keys.js';
import type { LoraFile } from './loraFile.js';
import type { Place } from './tensorIndex.js';
import type { DeltaKind } from './types.js';

/** A delta without what the set decides: file and weight. */
export type DeltaShape = Omit<NativeDelta, 'file' | 'multiplier'>;

export interface ModuleDelta {
  readonly tensor: NativeTensorInfo;
  /** Rows of the tensor as a matrix. */
  readonly tensorRows: number;
  readonly delta: DeltaShape;
}

export interface ModuleFacts {
  readonly kind: DeltaKind | undefined;
  readonly isDora: boolean;
  readonly rank: number | undefined;
}

const count = (shape: readonly number[]): number => shape.reduce((product, size) => product * size, 1);
const first = (tensor: TensorHeader | undefined): number => tensor?.shape[0] ?? 1;
const rest = (tensor: TensorHeader): number => count(tensor.shape) / Math.max(1, first(tensor));

/** Kind and rank of a module by the parts that it has. */
export function factsOf({ parts, family }: LoraModule): ModuleFacts {
  const has = (...names: PartName[]): boolean => names.every((name) => parts.has(name));
  const isDora = has('dora');
  const of = (kind: DeltaKind, rank?: number): ModuleFacts => ({ kind, isDora, rank });
  if (has('up', 'down')) return of('lora', first(parts.get('down')));
  if (family === 'hada' && has('w1_a', 'w1_b', 'w2_a', 'w2_b')) return of('loha', first(parts.get('w1_b')));
  if (family === 'lokr' && (has('w1') || has('w1_a', 'w1_b')) && (has('w2') || has('w2_a', 'w2_b'))) {
    const factor = parts.get('w2_b') ?? parts.get('w1_b');
    return of('lokr', factor === undefined ? undefined : first(factor));
  }
  if (has('blocks')) {
    const blocks = parts.get('blocks')?.shape ?? [];
    return of(blocks.length === 4 ? 'boft' : 'oft', blocks.at(-1));
  }
  if (has('rotations')) return of('oft', parts.get('rotations')?.shape.at(-1));
  if (has('a1', 'a2', 'b1', 'b2')) return of('glora', Math.min(first(parts.get('a1')), first(parts.get('a2'))));
  if (has('weight', 'on_input')) return of('ia3');
  if (has('diff') || has('diff_b')) return of('full');
  return { kind: undefined, isDora, rank: undefined };
}

/**
 * The changes that a module makes to its places; empty where nothing fits. `unused` are its keys that had no place.
 * Scales follow kohya and LyCORIS: alpha / rank, 1 without alpha; both factors of LoKr whole: 1.
 */
export function deltasOf(
  file: LoraFile,
  module: LoraModule,
  weight: Place | undefined,
  bias: Place | undefined,
): {
  readonly deltas: readonly ModuleDelta[];
  readonly unused: readonly string[];
} {
  const { parts } = module;
  const facts = factsOf(module);
  const deltas: ModuleDelta[] = [];
  const used = new Set<PartName>();
  const main = weight === undefined ? [] : inOrder(weight, mainDelta(file, module, facts, weight));
  if (main.length > 0 && facts.kind !== undefined) {
    deltas.push(...main);
    for (const part of parts.keys()) if (part !== 'diff_b' && part !== 'up_bias') used.add(part);
  }
  for (const part of ['diff_b', 'up_bias'] as const) {
    const tensor = parts.get(part);
    if (tensor === undefined || bias === undefined) continue;
    const scale = part === 'up_bias' ? scaleOf(file, module, facts.rank) : 1;
    const columns = weight === undefined ? 0 : columnsOf(weight.tensor);
    const found = inOrder(bias, fullDelta(tensor, bias, columns, scale));
    deltas.push(...found);
    if (found.length > 0) used.add(part);
  }
  const unused = [...parts].filter(([part]) => !used.has(part)).map(([, { name }]) => name);
  return { deltas, unused };
}

const bytesOf: Readonly<Record<string, number>> = { F32: 4, F16: 2, BF16: 2 };

/** The delta; of a swapped place its two halves, each where it belongs. Kinds that mix rows are left out there. */
function inOrder(place: Place, whole: ModuleDelta | undefined): ModuleDelta[] {
  if (whole === undefined || place.isSwapped !== true) return whole === undefined ? [] : [whole];
  const { delta } = whole;
  const name = delta.kind === 'lora' ? 'up' : 'diff';
  const part = delta.parts[name];
  const bytes = bytesOf[part?.dtype ?? ''];
  const rows = delta.rows / 2;
  if (part === undefined || bytes === undefined || 'dora' in delta.parts || delta.rows !== whole.tensorRows) return [];
  const shape = [rows, ...part.shape.slice(1)];
  return [0, rows].map((rowOffset) => {
    const offset = part.offset + (rows - rowOffset) * bytes * (count(part.shape) / delta.rows);
    return {
      ...whole,
      delta: { ...delta, rowOffset, rows, parts: { ...delta.parts, [name]: { ...part, shape, offset } } },
    };
  });
}

function columnsOf({ shape }: NativeTensorInfo): number {
  return shape.length < 2 ? 1 : count(shape) / (shape[0] ?? 1);
}

/** Rows from where a slice of a fused projection begins: those before it are as wide as the input. */
function offsetOf(place: Place, rows: number, tensorRows: number, width: number): number | undefined {
  if (rows === tensorRows) return place.slice === undefined || place.slice === 0 ? 0 : undefined;
  if (place.slice === undefined) return undefined;
  const offset = place.slice * width;
  return offset + rows <= tensorRows ? offset : undefined;
}

function partsOf(given: Readonly<Record<string, TensorHeader | undefined>>): Record<string, NativeLoraPart> {
  const parts: Record<string, NativeLoraPart> = {};
  for (const [name, tensor] of Object.entries(given)) {
    if (tensor !== undefined) parts[name] = { dtype: tensor.dtype, shape: tensor.shape, offset: tensor.offset };
  }
  return parts;
}

function fullDelta(diff: TensorHeader, place: Place, width: number, scale: number): ModuleDelta | undefined {
  const { tensor } = place;
  const columns = columnsOf(tensor);
  const tensorRows = count(tensor.shape) / columns;
  const rows = count(diff.shape) / columns;
  if (!Number.isInteger(rows)) return undefined;
  const rowOffset = offsetOf(place, rows, tensorRows, tensor.shape.length < 2 ? width : columns);
  if (rowOffset === undefined) return undefined;
  const delta = { kind: 'full', scale, rowOffset, rows, rank: 0, flag: false, parts: partsOf({ diff }) } as const;
  return { tensor, tensorRows, delta };
}

function scaleOf(file: LoraFile, { base, parts }: LoraModule, rank: number | undefined): number {
  const value = (part: 'alpha' | 'scale'): number | undefined => file.scalars.get(parts.get(part)?.name ?? '');
  const given = value('scale');
  if (given !== undefined) return given;
  const alpha = value('alpha') ?? peftAlpha(file, base);
  return alpha === undefined || rank === undefined || rank === 0 ? 1 : alpha / rank;
}

/** diffusers keeps PEFT's `lora_alpha` in the metadata of the file, by prefix of the component. */
function peftAlpha({ metadata }: LoraFile, base: string): number | undefined {
  const text = metadata.lora_adapter_metadata;
  if (typeof text !== 'string') return undefined;
  try {
    const config = JSON.parse(text) as Record<string, unknown>;
    const prefix = base.slice(0, base.indexOf('.'));
    const alpha = config[`${prefix}.lora_alpha`] ?? config.lora_alpha;
    return typeof alpha === 'number' ? alpha : undefined;
  } catch {
    return undefined;
  }
}

function mainDelta(file: LoraFile, module: LoraModule, facts: ModuleFacts, place: Place): ModuleDelta | undefined {
  const { parts } = module;
  const { kind, rank } = facts;
  const { tensor } = place;
  const get = (name: PartName): TensorHeader | undefined => parts.get(name);
  if (kind === undefined) return undefined;
  if (kind === 'full') {
    const diff = get('diff');
    return diff === undefined ? undefined : fullDelta(diff, place, columnsOf(tensor), 1);
  }
  const columns = columnsOf(tensor);
  const tensorRows = count(tensor.shape) / columns;
  // The parts q, k and v are as high as the input is wide; what follows them, the MLP, is the rest.
  const isRest = place.slice === 3;
  const whole = place.slice === undefined ? tensorRows : isRest ? tensorRows - 3 * columns : columns;
  const shape = sizesOf(module, kind, columns, whole);
  if (shape?.columns !== columns) return undefined;
  const rowOffset = offsetOf(place, shape.rows, tensorRows, columns);
  if (rowOffset === undefined) return undefined;
  const isTurn = kind === 'oft' || kind === 'boft';
  const isWhole = kind === 'lokr' && get('w1') !== undefined && get('w2') !== undefined;
  const scale = isTurn ? boundOf(file, module, shape.rows) : isWhole ? 1 : scaleOf(file, module, rank);
  const names = partNames[kind];
  const given = Object.fromEntries(names.map((name) => [name, get(name)]));
  // Files of LyCORIS before `oft_blocks` hold what the blocks make: rotations, whose alpha says nothing.
  const rotations = kind === 'oft' && get('blocks') === undefined ? get('rotations') : undefined;
  if (rotations !== undefined) given.blocks = rotations;
  const delta: DeltaShape = {
    kind,
    scale,
    rowOffset,
    rows: shape.rows,
    rank: 0,
    flag:
      kind === 'ia3'
        ? (file.scalars.get(get('on_input')?.name ?? '') ?? 0) !== 0
        : (shape.flag ?? false) || rotations !== undefined,
    parts: partsOf({ ...given, dora: facts.isDora ? get('dora') : undefined }),
  };
  return { tensor, tensorRows, delta };
}

const partNames: Readonly<Record<Exclude<DeltaKind, 'full'>, readonly PartName[]>> = {
  lora: ['up', 'down', 'mid'],
  loha: ['w1_a', 'w1_b', 'w2_a', 'w2_b', 't1', 't2'],
  lokr: ['w1', 'w1_a', 'w1_b', 'w2', 'w2_a', 'w2_b', 't2'],
  ia3: ['weight'],
  glora: ['a1', 'a2', 'b1', 'b2'],
  oft: ['blocks', 'rescale'],
  boft: ['blocks', 'rescale'],
};

interface Sizes {
  readonly rows: number;
  readonly columns: number;
  readonly flag?: boolean;
}

/** Rows and columns of a module's change. `whole`: rows where the module itself does not say how many. */
function sizesOf({ parts }: LoraModule, kind: DeltaKind, columns: number, whole: number): Sizes | undefined {
  const get = (name: PartName): TensorHeader =>
    parts.get(name) ?? { name: '', dtype: '', shape: [0], offset: 0, bytes: 0 };
  const kernel = (core: PartName): number => (parts.has(core) ? count(get(core).shape.slice(2)) : 1);
  switch (kind) {
    case 'lora':
      return { rows: first(get('up')), columns: rest(get('down')) * kernel('mid') };
    case 'loha':
      return parts.has('t1')
        ? { rows: rest(get('w1_a')), columns: rest(get('w1_b')) * kernel('t1') }
        : { rows: first(get('w1_a')), columns: rest(get('w1_b')) };
    case 'lokr': {
      const one = parts.has('w1') ? [first(get('w1')), rest(get('w1'))] : [first(get('w1_a')), rest(get('w1_b'))];
      const two = parts.has('w2')
        ? [first(get('w2')), rest(get('w2'))]
        : parts.has('t2')
          ? [rest(get('w2_a')), rest(get('w2_b')) * kernel('t2')]
          : [first(get('w2_a')), rest(get('w2_b'))];
      return { rows: (one[0] ?? 0) * (two[0] ?? 0), columns: (one[1] ?? 0) * (two[1] ?? 0) };
    }
    case 'ia3':
    case 'oft':
    case 'boft':
      return { rows: whole, columns };
    case 'glora': {
      const [a1, a2, b1, b2] = [get('a1'), get('a2'), get('b1'), get('b2')];
      // As ComfyUI tells the two orders apart.
      let old = b2.shape[1] === first(b1) && first(b1) === first(a1) && first(a1) === a2.shape[1];
      const isNew = first(b2) === b1.shape[1] && b1.shape[1] === a1.shape[1] && a1.shape[1] === first(a2);
      if (isNew && !(old && first(a2) === whole && whole === columns)) old = false;
      return old
        ? { rows: first(b2), columns: rest(b1), flag: true }
        : { rows: first(b1), columns: rest(b2), flag: false };
    }
    case 'full':
      return undefined;
  }
}

/** Bound of the norm of OFT's and BOFT's blocks: alpha for each output row, in LyCORIS and in kohya's OFT. 0: none. */
function boundOf(file: LoraFile, module: LoraModule, rows: number): number {
  if (!module.parts.has('blocks')) return 0;
  return (file.scalars.get(module.parts.get('alpha')?.name ?? '') ?? 0) * rows;
}
