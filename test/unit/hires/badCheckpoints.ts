import { readFileSync, writeFileSync } from 'node:fs';
import { wholeCheckpoint } from '../../support/fakeFiles.js';

/** A file that is none, and one whose end is missing. */
export function badFixture(kind: 'text' | 'cut'): string {
  const path = wholeCheckpoint(kind);
  writeFileSync(path, kind === 'text' ? 'not a model at all\n'.repeat(50) : readFileSync(path).subarray(0, -6));
  return path;
}
