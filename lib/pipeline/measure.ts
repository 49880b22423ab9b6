import type {
  JobScope,
  NativeGraphMemory,
  NativeJobMemory,
  NativeMeasureParams,
  NativeModel,
  NativeSize,
  NativeTiling,
} from '../native/index.js';

import type { EnlargeStage } from './hires/enlargement.js';

type TilingKey = 'previewTiling' | 'encodeTiling' | 'decodeTiling';

/** What decides the memory of a job. Sizes in pixels. */
export interface JobShape extends Omit<NativeMeasureParams, TilingKey> {
  /** Pictures that are made and handed out. */
  readonly pictures: number;
  /** Bytes of the pictures that were given, decoded. */
  readonly inputBytes: number;
  /** An upscaler model enlarges what a hires pass begins with; null: none does. */
  readonly enlarge: EnlargeStage | null;
}

/** A job of this size that does nothing. */
export function emptyShape({ width, height }: NativeSize): JobShape {
  return { ...emptyParams({ width, height }), pictures: 0, inputBytes: 0, enlarge: null };
}

function emptyParams({ width, height }: NativeSize): Omit<NativeMeasureParams, TilingKey> {
  return {
    width,
    height,
    prompts: [],
    imageGuidance: false,
    control: false,
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
  readonly #entries = new Map<string, NativeJobMemory>();

  /** Memory of a job from the engine's own graphs; `scope` runs what was not measured before. */
  async measure(native: NativeModel, scope: JobScope, shape: JobShape, tilings: Tilings): Promise<NativeJobMemory> {
    const { prompts, imageGuidance, control, references, preview } = shape;
    const untiledAll = { previewTiling: untiled, encodeTiling: untiled, decodeTiling: untiled };
    const nothing: NativeMeasureParams = { ...emptyParams(shape), ...untiledAll };
    const previewTiling = preview === 'vae' || preview === 'tae' ? tilings.decode : untiled;
    const sampling = { ...nothing, prompts, imageGuidance, control, references, preview, previewTiling };
    const run = (params: NativeMeasureParams): Promise<NativeJobMemory> => this.#one(native, scope, params);
    const sampled = prompts.length === 0 ? undefined : await run(sampling);
    const encoded =
      shape.encode.length === 0
        ? undefined
        : await run({ ...nothing, encode: shape.encode, encodeTiling: tilings.encode });
    const decoded = shape.decode ? await run({ ...nothing, decode: true, decodeTiling: tilings.decode }) : undefined;
    return {
      textEncoder: sampled?.textEncoder ?? none,
      diffusion: sampled?.diffusion ?? none,
      preview: sampled?.preview ?? none,
      vaeEncode: encoded?.vaeEncode ?? none,
      vaeDecode: decoded?.vaeDecode ?? none,
    };
  }

  async #one(native: NativeModel, scope: JobScope, params: NativeMeasureParams): Promise<NativeJobMemory> {
    const key = JSON.stringify(params, (name, value: unknown) => (name === 'data' ? undefined : value));
    const known = this.#entries.get(key);
    if (known !== undefined) {
      this.#entries.delete(key);
      this.#entries.set(key, known);
      return known;
    }
    const measured = await scope.run(() => native.measure(params));
    this.#entries.set(key, measured);
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= maxEntries) break;
      this.#entries.delete(oldest);
    }
    return measured;
  }
}
