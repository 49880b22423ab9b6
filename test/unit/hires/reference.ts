import { readFileSync } from 'node:fs';

/** Little-endian f32 numbers of a file of `reference/`. */
export function referenceFloats(file: string): Float32Array {
  const bytes = readFileSync(new URL(`reference/${file}`, import.meta.url));
  return Float32Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readFloatLE(i * 4));
}
