import { ownVersion } from '../../native/load.js';
import type { CliModel } from '../runtime.js';
import type { Painted } from './paint.js';

/** Fields of a request that stand for data too large to print, or that mean nothing in another process. */
function printable(parameters: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const shown: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(parameters)) {
    if (value instanceof Float32Array) shown[key] = [...value];
    else if (!ArrayBuffer.isView(value) && typeof value !== 'function') shown[key] = value;
  }
  return shown;
}

/** What `--json` prints. Times are in seconds. */
export function resultJson({ saved, seconds, total }: Painted, { info }: CliModel, load: number): object {
  return {
    version: ownVersion(),
    model: { name: info.name, architecture: info.architecture },
    images: saved.map(({ path, image }) => ({
      path,
      seed: image.seed,
      width: image.width,
      height: image.height,
      parameters: printable(image.parameters),
      infotext: image.infotext,
    })),
    timings: {
      load: rounded(load),
      encode: rounded(seconds.encode ?? 0),
      sample: rounded(seconds.sample ?? 0),
      decode: rounded((seconds.decode ?? 0) + (seconds.tile ?? 0)),
      total: rounded(total),
    },
  };
}

/** To a millisecond. */
function rounded(seconds: number): number {
  return Math.round(seconds * 1000) / 1000;
}
