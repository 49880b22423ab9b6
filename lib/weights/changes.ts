import { createHash } from 'node:crypto';
import type { NativeTarget } from '../native/index.js';
import { componentOf } from './tensorIndex.js';

/** What brings tensors from the states that they have to those wanted. */
export function difference(
  now: ReadonlyMap<string, NativeTarget>,
  wanted: ReadonlyMap<string, NativeTarget>,
): NativeTarget[] {
  const changes = [...wanted.values()].filter(({ tensor, key }) => now.get(tensor)?.key !== key);
  for (const [tensor, { rows }] of now) {
    if (!wanted.has(tensor)) changes.push({ tensor, key: '', rows, deltas: [] });
  }
  return changes;
}

/** Of the LoRAs of the text encoders; empty: none. */
export function textEncoderKey(targets: ReadonlyMap<string, NativeTarget>): string {
  const parts = [...targets.values()].filter(({ tensor }) => componentOf(tensor) === 'textEncoder');
  if (parts.length === 0) return '';
  const hash = createHash('sha256');
  for (const { tensor, key } of parts.sort((a, b) => (a.tensor < b.tensor ? -1 : 1)))
    hash.update(`${tensor}\n${key}\n`);
  return hash.digest('base64');
}
