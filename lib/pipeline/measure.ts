import type {
  JobScope,
  NativeGraphMemory,
  NativeJobMemory,
  NativeMeasureParams,
  NativeModel,
  NativeSize,
  NativeTiling,
} from '../native/index.js';

import { CompiledGraphs } from './compiledGraphs.js';
import type { EnlargeStage } from './hires/enlargement.js';

type TilingKey = 'previewTiling' | 'encodeTiling' | 'decodeTiling';

/** What decides the memory of a job. Sizes in pixels. */
export interface JobShape extends Omit<NativeMeasureParams, TilingKey> {
  /** Pictures that are made and handed out. */
  readonly pictures: number;
  /** Its conditioning is given: prompts are here for the shape of that alone. */
  readonly conditioned: boolean;
  /** Bytes of the pictures that were given, decoded. */
  readonly inputBytes: number;
  /** An upscaler model enlarges what a hires pass begins with; null: none does. */
  readonly enlarge: EnlargeStage | null;
}

/** A job of this size that does nothing. */
export function emptyShape({ width, height }: NativeSize): JobShape {
  return { ...emptyParams({ width, height }), pictures: 0, conditioned: false, inputBytes: 0, enlarge: null };
}

function emptyParams({ width, height }: NativeSize): Omit<NativeMeasureParams, TilingKey> {
  return {
    width,
    height,
    prompts: [],
    sample: false,
    imageGuidance: false,
    control: false,
    controlStrength: 1,
    references: [],
    preview: 'none',
    encode: [],
    decode: false,
  };
}

/** How the VAE works in a job. */
export interface Tilings {
  readonly encode: NativeTiling;
  /** Also of previews that the VAE makes. */
  readonly decode: NativeTiling;
}

export const untiled: NativeTiling = { enabled: false, tileSizeX: 0, tileSizeY: 0, overlap: 0.5 };
const none: NativeGraphMemory = { graph: 0, work: 0 };
const maxEntries = 256;

/** Measured sizes of one model by shape; a shape is measured once. */
export class MeasureCache {
  /** What is compiled and kept of the model. */
  readonly graphs = new CompiledGraphs();
  readonly #entries = new Map<string, NativeJobMemory>();
  #compiles = false;

  /** A job was measured that has graphs to compile. */
  get compiles(): boolean {
    return this.#compiles;
  }

  /** Memory of a job from the engine's own graphs; `scope` runs what was not measured before. */
  async measure(native: NativeModel, scope: JobScope, shape: JobShape, tilings: Tilings): Promise<NativeJobMemory> {
    const { prompts, sample, imageGuidance, control, references, preview } = shape;
    const untiledAll = { previewTiling: untiled, encodeTiling: untiled, decodeTiling: untiled };
    const nothing: NativeMeasureParams = { ...emptyParams(shape), ...untiledAll };
    const previewTiling = preview === 'vae' || preview === 'tae' ? tilings.decode : untiled;
    const controlStrength = control ? shape.controlStrength : nothing.controlStrength;
    const sampling = { prompts, sample, imageGuidance, control, controlStrength, references, preview, previewTiling };
    const encoding = { encode: shape.encode, encodeTiling: tilings.encode };
    const decoding = { decode: true, decodeTiling: tilings.decode };
    const stages: Stages = {
      ...(prompts.length === 0 ? {} : { sampled: sampling }),
      ...(shape.encode.length === 0 ? {} : { encoded: encoding }),
      ...(shape.decode ? { decoded: decoding } : {}),
    };
    const { sampled, encoded, decoded } = await this.#stages(native, scope, nothing, stages);
    return {
      textEncoder: (shape.conditioned ? undefined : sampled?.textEncoder) ?? none,
      diffusion: sampled?.diffusion ?? none,
      preview: sampled?.preview ?? none,
      vaeEncode: encoded?.vaeEncode ?? none,
      vaeDecode: decoded?.vaeDecode ?? none,
    };
  }

  /** Each stage is remembered by itself; those that are not known are measured together. */
  async #stages(
    native: NativeModel,
    scope: JobScope,
    nothing: NativeMeasureParams,
    stages: Stages,
  ): Promise<Partial<Record<StageName, NativeJobMemory>>> {
    const keys = Object.entries(stages).map(
      ([name, params]) => [name as StageName, keyOf({ ...nothing, ...params })] as const,
    );
    const missing = keys.filter(([, key]) => !this.#entries.has(key));
    if (missing.length > 0) {
      const params = missing.reduce((all, [name]) => ({ ...all, ...stages[name] }), nothing);
      const measured = await scope.run(() => native.measure(params));
      for (const [, key] of missing) this.#entries.set(key, measured);
      const all: readonly NativeGraphMemory[] = Object.values(measured);
      for (const { compiled = [] } of all) {
        this.#compiles ||= compiled.length > 0;
        this.graphs.measured(compiled);
      }
    }
    const found = keys.map(([name, key]) => [name, this.#touch(key)] as const);
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= maxEntries) break;
      this.#entries.delete(oldest);
    }
    return Object.fromEntries(found);
  }

  #touch(key: string): NativeJobMemory {
    const known = this.#entries.get(key);
    if (known === undefined) throw new Error('A stage was not measured');
    this.#entries.delete(key);
    this.#entries.set(key, known);
    return known;
  }
}

type StageName = 'sampled' | 'encoded' | 'decoded';
type Stages = Partial<Record<StageName, Partial<NativeMeasureParams>>>;

function keyOf(params: NativeMeasureParams): string {
  return JSON.stringify(params, (name, value: unknown) => (name === 'data' ? undefined : value));
}
