import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

export const benchDir = resolve(dirname(fileURLToPath(import.meta.url)), '..');
/** The package's folder, absolute. */
export const root = resolve(benchDir, '..');
/** Beside the addon: the same configuration, the same ggml and the same backend modules. */
export const sdCli = join(root, 'build', 'Release', process.platform === 'win32' ? 'sd-cli.exe' : 'sd-cli');
