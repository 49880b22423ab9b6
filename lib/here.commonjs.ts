import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { findPackageRoot } from './package-root.js';

// Stands in for `here.ts` in the CommonJS door (tsconfig.cjs.json); the build gives its output the same name.

/** Folder of our modules, absolute: `dist/cjs` in the package. */
export const here: string = __dirname;

/** Folder of the package (where package.json lies), absolute. */
export const packageRoot: string = findPackageRoot(resolve(here, '../..'), createRequire(__filename));

/** `require` of this package, for what cannot be imported: binaries, and packages whose ES module needs a newer Node. */
export const requireHere: NodeJS.Require = createRequire(join(packageRoot, 'package.json'));
