import { existsSync, readdirSync, readFileSync, realpathSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
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

/**
 * The newest versions of C and C++ library symbols that our packages may ask for: what they ask for today (Debian 12 and Ubuntu
 * 22.04 have them). A build that needs more, on whatever system, is no release.
 */
export const shipped = { GLIBC: '2.34', GLIBCXX: '3.4.30' } as const;

/** Folders of this machine, which no binary may name: the checkout, the home, the temporary folder; with a slash at the end. */
export function machineFolders(): string[] {
  const places = [root, homedir(), tmpdir()].flatMap((place) => [place, realpathSync(place)]);
  return [...new Set(places.map((place) => `${place.replace(/\/+$/, '')}/`))].filter((place) => place !== '/');
}

/** What a file has below {@link machineFolders}, each up to its end. What is part of a longer path, as in `/var/tmp/`, is not meant. */
export function machinePaths(file: string): string[] {
  const text = readFileSync(file, 'latin1');
  const escaped = machineFolders().map((place) => place.replaceAll(/[.+^${}()|[\]\\]/g, '\\$&'));
  return [...text.matchAll(new RegExp(`(?<![\\w.-])(?:${escaped.join('|')})[^\\0]{0,120}`, 'g'))].map(([path]) => path);
}
