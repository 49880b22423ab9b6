import { join } from 'node:path';
import { invalidOption } from '../errors/index.js';
import { cacheDir } from '../model/index.js';
import { boolean, byteSize, integer, object, oneOf, optional, text } from '../options/index.js';

/** What OpenVINO computes in. `bf16` and `f16` need hardware for it; without it OpenVINO computes in f32. */
export type OpenvinoPrecision = 'f32' | 'bf16' | 'f16';

/** Settings of the backend `openvino`. */
export interface OpenvinoOptions {
  /** Device as OpenVINO names it: `CPU`, `GPU`, `GPU.1`, `NPU`, `AUTO`, … Default: `CPU`. */
  readonly device?: string | undefined;
  /** Default: `f32`. */
  readonly precision?: OpenvinoPrecision | undefined;
  /** Parallel streams on the CPU, 1..64. Default: 1. */
  readonly streams?: number | undefined;
  /** Most memory of compiled graphs that are kept, bytes or a text such as `4GiB`. Default: half of the machine's. */
  readonly cacheSize?: number | string | undefined;
  /**
   * Compile the networks with the weights that LoRAs change as inputs from the start. Then the first set of LoRAs of a
   * size compiles nothing either, and an evaluation takes longer, the more so the smaller the picture. Default: false,
   * with which the first set of LoRAs of a size compiles the network once more, and all others nothing.
   */
  readonly weightInputs?: boolean | undefined;
  /**
   * Also keep compiled graphs on disk, in `openvino` below the cache directory (`NODE_DIFFUSION_CACHE`), for the next
   * process. Default: false.
   */
  readonly diskCache?: boolean | undefined;
  /** Most bytes of it; what was not used for longest is removed. Default: 4 GiB. */
  readonly diskCacheSize?: number | string | undefined;
}

const precisions = ['f32', 'bf16', 'f16'] as const satisfies readonly OpenvinoPrecision[];

export const openvinoSpec = optional(
  object({
    device: text({ allowEmpty: false, maxLength: 64, default: 'CPU' }),
    precision: oneOf(precisions, { default: 'f32' }),
    streams: integer({ min: 1, max: 64, default: 1 }),
    cacheSize: optional(byteSize()),
    weightInputs: boolean({ default: false }),
    diskCache: boolean({ default: false }),
    diskCacheSize: optional(byteSize()),
  }),
);

interface CheckedOpenvino {
  readonly device: string;
  readonly precision: OpenvinoPrecision;
  readonly streams: number;
  readonly cacheSize?: number;
  readonly weightInputs?: boolean;
  readonly diskCache?: boolean;
  readonly diskCacheSize?: number;
}

/**
 * The settings as the backend module reads them, lines of `name=value`; empty for other backends.
 * @throws DiffusionError `ERR_INVALID_OPTION` when they are given for another backend.
 */
export function openvinoSettings(given: CheckedOpenvino | undefined, backend: string, threads: number): string {
  if (backend !== 'openvino') {
    if (given === undefined) return '';
    throw invalidOption(
      'openvino',
      given,
      "nothing, unless the backend is 'openvino'",
      `This runtime has "${backend}".`,
    );
  }
  const { device = 'CPU', precision = 'f32', streams = 1, cacheSize } = given ?? {};
  const directory = given?.diskCache === true ? join(cacheDir(), 'openvino') : '';
  if (/[\r\n]/.test(directory)) {
    throw invalidOption('NODE_DIFFUSION_CACHE', directory, 'a path without line breaks, for openvino.diskCache');
  }
  if (!/^[A-Z]+[A-Za-z0-9.,:()_-]*$/.test(device)) {
    throw invalidOption('openvino.device', device, 'a device as OpenVINO names it, such as CPU, GPU.1 or AUTO');
  }
  const lines = {
    ...{ device, precision, streams, threads },
    ...(cacheSize === undefined ? {} : { cacheBytes: cacheSize }),
    ...(given?.weightInputs === true ? { weightInputs: 1 } : {}),
    ...(directory === '' ? {} : { diskCache: directory, diskCacheBytes: given?.diskCacheSize ?? 4 * 2 ** 30 }),
  };
  return Object.entries(lines)
    .map(([name, value]) => `${name}=${String(value)}`)
    .join('\n');
}
