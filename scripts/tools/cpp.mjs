import { join } from 'node:path';
import { listFiles } from './files.mjs';

/** Our own C++ files, relative to the package; never third-party source. */
export function cppFiles(extension = /\.(cpp|h|inl)$/) {
  const vendor = join('native', 'vendor');
  return listFiles(['native'], (path) => path !== vendor).filter((path) => extension.test(path));
}
