import type {
  NativeImage,
  NativeJobMemory,
  NativeKeptGraph,
  NativeModelInfo,
  NativeNoiseParams,
  NativeReleaseParams,
  NativeSampleParams,
  NativeTensor,
  NativeWeightsPlan,
  NativeWeightsResult,
  NativeTokenCount,
} from '../../lib/native/contract.js';

// What the operations of the fake addon answer with.

export function fakeResult({ targets }: NativeWeightsPlan): NativeWeightsResult {
  const merged = targets.filter(({ deltas }) => deltas.length > 0).length;
  return { merged, restored: targets.length - merged, copied: 0, bytes: 0, seconds: 0 };
}

/** A text encoder whose tokens are words. */
export function countWords(prompt: string, limit: number): NativeTokenCount {
  const words = prompt.split(' ').filter((word) => word !== '');
  const cut = limit === 0 ? '' : words.slice(limit).join(' ');
  const chunks = Math.max(1, Math.ceil(words.length / 75));
  return { encoder: 'clipL', tokens: words.length, chunks, chunkTokens: 75, limit, cut };
}
const nothing = { graph: 0, work: 0 };
export const noMemory: NativeJobMemory = {
  textEncoder: nothing,
  diffusion: nothing,
  preview: nothing,
  vaeEncode: nothing,
  vaeDecode: nothing,
};

/** Decreasing to 0, each level telling its place: steps, …, 1, 0. */
export function fakeSigmas(steps: number): Float32Array {
  return Float32Array.from({ length: steps + 1 }, (_, index) => steps - index);
}

/** No two seeds have the same, nor the same direction. */
export function fakeNoise(
  { latentChannels }: NativeModelInfo,
  { seed, width, height }: NativeNoiseParams,
): NativeTensor {
  const data = Float32Array.from({ length: latentChannels * height * width }, (_, i) => Math.sin((i + 1) * (seed + 1)));
  return { shape: [1, latentChannels, height, width], data };
}

/** First number: the seed, so that a picture shows which one made it; of a run that stops, that of each prediction. */
export function fakeSample({ latent, seed, stopAfter }: NativeSampleParams): NativeTensor {
  const parts = Math.max(1, stopAfter);
  const size = latent.data.length;
  const data = new Float32Array(parts * size);
  for (let part = 0; part < parts; part++) {
    data.set(latent.data, part * size);
    data[part * size] = seed;
  }
  return { shape: [parts, ...latent.shape.slice(1)], data };
}

/** Filled with its place among the encoded pictures. */
export function fakeLatent(
  { latentChannels, scaleFactor }: NativeModelInfo,
  { width, height }: NativeImage,
  value: number,
): NativeTensor {
  const shape = [1, latentChannels, height / scaleFactor, width / scaleFactor];
  return { shape, data: new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(value) };
}

export function picture(width: number, height: number, value: number): NativeImage {
  return { width, height, channels: 3, data: new Uint8Array(width * height * 3).fill(value & 255) };
}

/** Lets go of graphs as a backend does: least recently used first, but for those to keep. Gives those that stay. */
export function releaseGraphs(graphs: NativeKeptGraph[] = [], { bytes, keep }: NativeReleaseParams): NativeKeptGraph[] {
  let freed = 0;
  for (let at = graphs.length - 1; at >= 0 && freed < bytes; at--) {
    const { graph = 0, bytes: size = 0 } = graphs[at] ?? {};
    if (keep.includes(graph)) continue;
    graphs.splice(at, 1);
    freed += size;
  }
  return [...graphs];
}
