import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Works in a folder of its own, which goes afterwards; resolves with what the work gives. */
export async function inFolder(work) {
  const folder = mkdtempSync(join(tmpdir(), 'node-diffusion-bench-'));
  try {
    return await work(folder);
  } finally {
    removeFolder(folder);
  }
}

export function removeFolder(folder) {
  rmSync(folder, { recursive: true, force: true });
}
