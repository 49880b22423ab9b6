import { missingLibrary, ownLibraryAdvice } from './advice.js';
import { installCommand } from './commands.js';

/**
 * What to do about a backend module by the reason why it was not loaded; undefined where the reason is not about how
 * packages are installed.
 * @param packageName of the package that brings the backend here; undefined where there is none.
 */
export function moduleAdvice(reason: string, packageName: string | undefined): string | undefined {
  if (reason.includes('the package is version') && packageName !== undefined) {
    return `Install it in the version of node-diffusion: ${installCommand(packageName)}`;
  }
  if (reason.includes('the package needs ')) return 'Use a system or image that has it.';
  const library = missingLibrary(reason);
  return library === undefined ? undefined : ownLibraryAdvice(library);
}
