import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findPackageRoot } from './package-root.js';

// The only file that differs between the ES modules and the CommonJS door (its twin is `here.commonjs.ts`):
// `import.meta` does not exist in CommonJS. It belongs to no room, every room may use it.

/** This module. A bundler that makes CommonJS of it leaves `import.meta` empty. */
const { url } = import.meta as { readonly url?: string };
const file = url === undefined ? __filename : fileURLToPath(url);

/** Folder of our modules, absolute: `lib` in a checkout, `dist` in the package. */
export const here: string = dirname(file);

/** Folder of the package (where package.json lies), absolute. */
export const packageRoot: string = findPackageRoot(resolve(here, '..'), createRequire(file));

/** `require` of this package, for what cannot be imported: binaries, and packages whose ES module needs a newer Node. */
export const requireHere: NodeJS.Require = createRequire(join(packageRoot, 'package.json'));
