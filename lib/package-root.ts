import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

// Belongs to no room, as `here.ts` and its twin, which use it.

const name = 'node-diffusion';

/** The folder `above` when it is this package's; else, where a bundler moved our code away, the one that Node finds. */
export function findPackageRoot(above: string, require: NodeJS.Require): string {
  if (isOurs(above)) return above;
  try {
    return dirname(require.resolve(`${name}/package.json`));
  } catch {
    return above;
  }
}

function isOurs(folder: string): boolean {
  try {
    const manifest: unknown = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
    return typeof manifest === 'object' && manifest !== null && 'name' in manifest && manifest.name === name;
  } catch {
    return false;
  }
}
