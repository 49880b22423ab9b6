import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { invalidOption } from '../errors/index.js';
import { type MemoryLedger, memoryOfProcess } from '../memory/index.js';
import { cacheDir } from '../model/index.js';
import type { NativeLoadOptions } from '../native/index.js';
import { boolean, byteSize, integer, object, oneOf, optional, text } from '../options/index.js';

/** What OpenVINO computes in. `bf16` and `f16` need hardware for it; a device without it is refused when a model is loaded. */
export type OpenvinoPrecision = 'f32' | 'bf16' | 'f16';

/** Settings of the backend `openvino`. */
export interface OpenvinoOptions {
  /** Device as OpenVINO names it: `CPU`, `GPU`, `GPU.1`, `NPU`, `AUTO`, … Default: `CPU`. */
  readonly device?: string | undefined;
  /** Default: `f32`. */
  readonly precision?: OpenvinoPrecision | undefined;
  /** Parallel streams. A model makes one evaluation at a time, so that more than 1 is refused. Default: 1. */
  readonly streams?: number | undefined;
  /**
   * Most memory of compiled graphs that are kept, bytes or a text such as `4GiB`; runtimes of the same size share it.
   * Default: half of the machine's, or of what a control group (a container) may hold.
   */
  readonly cacheSize?: number | string | undefined;
  /**
   * Compile the networks with the weights that LoRAs change as inputs from the start. Then the first set of LoRAs of a
   * size compiles nothing either, and an evaluation takes longer, the more so the smaller the picture. Default: false,
   * with which the first set of LoRAs of a size compiles the network once more, and all others nothing. Only for the
   * device `CPU` in `f32`.
   */
  readonly weightInputs?: boolean | undefined;
  /**
   * Also keep compiled graphs on disk, in `openvino` below the cache directory (`NODE_DIFFUSION_CACHE`), for the next
   * process, which reads those that a model used last while it reads the weights. Not with `AUTO`, `MULTI` and `BATCH`,
   * which export nothing. Default: false.
   */
  readonly diskCache?: boolean | undefined;
  /** Most bytes of it; what was not used for longest is removed. Only with `diskCache`. Default: 4 GiB. */
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

const defaults: CheckedOpenvino = { device: 'CPU', precision: 'f32', streams: 1 };

interface CheckedOpenvino {
  readonly device: string;
  readonly precision: OpenvinoPrecision;
  readonly streams: number;
  readonly cacheSize?: number;
  readonly weightInputs?: boolean;
  readonly diskCache?: boolean;
  readonly diskCacheSize?: number;
}

/** What would do nothing is refused: who gives it expects something of it. */
function assertEffective({
  device,
  precision,
  streams,
  weightInputs,
  diskCache,
  diskCacheSize,
}: CheckedOpenvino): void {
  if (diskCacheSize !== undefined && diskCache !== true) {
    const hint = 'Without it nothing is kept on disk: add diskCache: true, or leave diskCacheSize away.';
    throw invalidOption('openvino.diskCacheSize', diskCacheSize, 'nothing, unless openvino.diskCache is true', hint);
  }
  if (weightInputs === true && (device !== 'CPU' || precision !== 'f32')) {
    const why =
      'In other precisions and on other devices OpenVINO would convert or copy such weights in every evaluation';
    throw invalidOption(
      'openvino.weightInputs',
      weightInputs,
      "true only with the device 'CPU' and the precision 'f32'",
      `This is ${precision} on ${device}. ${why}: leave weightInputs away, or the other two.`,
    );
  }
  if (diskCache === true && /^(?:AUTO|MULTI|BATCH)(?::|$)/.test(device)) {
    const hint = `The device ${device} exports nothing that could be kept: name one device, or leave diskCache away.`;
    throw invalidOption('openvino.diskCache', diskCache, 'false with this device', hint);
  }
  if (streams !== 1) {
    const why = 'A model makes one evaluation at a time, which would get a part of the threads';
    throw invalidOption('openvino.streams', streams, 'nothing but 1', `${why}: leave streams away.`);
  }
}

/**
 * The settings as the backend module reads them, lines of `name=value`; empty for other backends.
 * @throws DiffusionError `ERR_INVALID_OPTION` when they are given for another backend, and for one that has no effect
 * beside the others.
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
  const { device, precision, streams, cacheSize } = given ?? defaults;
  const directory = given?.diskCache === true ? join(cacheDir(), 'openvino') : '';
  if (/[\r\n]/.test(directory)) {
    throw invalidOption('NODE_DIFFUSION_CACHE', directory, 'a path without line breaks, for openvino.diskCache');
  }
  if (!/^[A-Z]+[A-Za-z0-9.,:()_-]*$/.test(device)) {
    throw invalidOption('openvino.device', device, 'a device as OpenVINO names it, such as CPU, GPU.1 or AUTO');
  }
  assertEffective(given ?? defaults);
  const lines = {
    ...{ device, precision, streams, threads },
    cacheBytes: cacheSize ?? Math.floor(memoryOfProcess() / 2),
    ...(given?.weightInputs === true ? { weightInputs: 1 } : {}),
    ...(directory === '' ? {} : { diskCache: directory, diskCacheBytes: given?.diskCacheSize ?? 4 * 2 ** 30 }),
  };
  return Object.entries(lines)
    .map(([name, value]) => `${name}=${String(value)}`)
    .join('\n');
}

/** Shares of the memory that a load leaves free: graphs that are read ahead may take one of them. */
const aheadShare = 4;

/**
 * What the backend of a model is made with. With a disk cache it is told which model it is, so that it reads the graphs
 * which that model used last while the weights are read. Under a limit it is not: they come before any job is admitted.
 * @param stamps of the model's files
 * @param ledger which has the weights already
 */
export function withReadAhead(
  request: NativeLoadOptions,
  stamps: ReadonlyMap<string, string>,
  ledger: Pick<MemoryLedger, 'limit' | 'available'>,
): string {
  const { deviceOptions = '', threads: _threads, memoryBudget: _budget, ...shaping } = request;
  if (ledger.limit !== undefined || !deviceOptions.includes('\ndiskCache=')) return deviceOptions;
  const named = JSON.stringify([[...stamps].sort(), { ...shaping, deviceOptions: undefined }]);
  const model = createHash('sha256').update(named).digest('hex').slice(0, 16);
  return `${deviceOptions}\nmodel=${model}\naheadBytes=${String(Math.floor(ledger.available(request.device) / aheadShare))}`;
}
