import { createRequire } from 'node:module';
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

// The only file that differs between the ES modules and the CommonJS door (its twin is `here.commonjs.ts`):
// `import.meta` does not exist in CommonJS. It belongs to no room, every room may use it.

/** Folder of our modules, absolute: `lib` in a checkout, `dist` in the package. */
export const here: string = dirname(fileURLToPath(import.meta.url));

/** Folder of the package (where package.json lies), absolute. */
export const packageRoot: string = resolve(here, '..');

/** `require` of this package, for what cannot be imported: binaries, and packages whose ES module needs a newer Node. */
export const requireHere: NodeJS.Require = createRequire(import.meta.url);
