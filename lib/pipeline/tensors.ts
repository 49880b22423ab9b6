import type { NativeImage, NativeTensor } from '../native/index.js';

/** `[1, channels, height, width]` of zeros. */
export function zeros(channels: number, height: number, width: number): NativeTensor {
  return { shape: [1, channels, height, width], data: new Float32Array(channels * height * width) };
}

export function zerosLike({ shape, data }: NativeTensor): NativeTensor {
  return { shape, data: new Float32Array(data.length) };
}

/** Joins tensors of batch 1 on the channel axis. */
export function concatChannels(...parts: readonly NativeTensor[]): NativeTensor {
  const [, , height = 0, width = 0] = parts[0]?.shape ?? [];
  const channels = parts.reduce((sum, part) => sum + (part.shape[1] ?? 0), 0);
  const data = new Float32Array(channels * height * width);
  let offset = 0;
  for (const part of parts) {
    data.set(part.data, offset);
    offset += part.data.length;
  }
  return { shape: [1, channels, height, width], data };
}

/** Nearest neighbour as the engine does it: source index = floor(index * from / to). Channels stay. */
export function resizeNearest(tensor: NativeTensor, height: number, width: number): NativeTensor {
  const [, channels = 0, fromHeight = 0, fromWidth = 0] = tensor.shape;
  if (fromHeight === height && fromWidth === width) return tensor;
  const result = zeros(channels, height, width);
  let offset = 0;
  for (let c = 0; c < channels; c++) {
    for (let y = 0; y < height; y++) {
      const row = (c * fromHeight + Math.floor((y * fromHeight) / height)) * fromWidth;
      for (let x = 0; x < width; x++) {
        result.data[offset++] = tensor.data[row + Math.floor((x * fromWidth) / width)] ?? 0;
      }
    }
  }
  return result;
}

/** {@link resizeNearest} for pixels. */
export function resizeImageNearest(image: NativeImage, width: number, height: number): NativeImage {
  if (image.width === width && image.height === height) return image;
  const { channels } = image;
  const data = new Uint8Array(width * height * channels);
  let offset = 0;
  for (let y = 0; y < height; y++) {
    const row = Math.floor((y * image.height) / height) * image.width;
    for (let x = 0; x < width; x++) {
      const start = (row + Math.floor((x * image.width) / width)) * channels;
      for (let c = 0; c < channels; c++) data[offset++] = image.data[start + c] ?? 0;
    }
  }
  return { width, height, channels, data };
}

/** One colour everywhere. */
export function flatImage(width: number, height: number, channels: number, value: number): NativeImage {
  return { width, height, channels, data: new Uint8Array(width * height * channels).fill(value) };
}
