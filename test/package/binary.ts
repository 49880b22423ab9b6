import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { root } from '../support/child/run.js';

/** The addon that children load: the one that is named, or the local build. */
export const binary = process.env.NODE_DIFFUSION_BINARY ?? join(root, 'build', 'Release', 'node-diffusion.node');
export const binaryFolder = dirname(binary);

/** Our libraries that every installation has: the addon, ggml's two libraries, the CPU variants. GPU modules may need more. */
export function coreLibraries(folder: string = binaryFolder): string[] {
  const names = readdirSync(folder).filter((name) => /\.node$|^libnode-diffusion-.*\.so|^libggml-cpu.*\.so/.test(name));
  if (!existsSync(join(folder, 'node-diffusion.node')) || names.length === 0)
    throw new Error(`${folder} has no addon: run \`npm run build\` first.`);
  return names.sort();
}
