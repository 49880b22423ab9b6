/**
 * What the CUDA module was built for, written beside it: a build for one kind of GPU is there to try things and must not
 * be released, and the file of the module does not tell it from a whole one.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildId } from './elf.mjs';
import { cuda as pinned } from '../pins.mjs';
import { writeAtomically } from '../tools/files.mjs';
import { root } from '../tools/paths.mjs';
import { Stop } from '../tools/say.mjs';

const module = 'libggml-cuda.so';
const note = 'ggml-cuda.json';

/** GPUs that a release is compiled for, as CMake names them; native/cmake/NdCuda.cmake has the list. */
export function releaseArchitectures() {
  const text = readFileSync(join(root, 'native/cmake/NdCuda.cmake'), 'utf8');
  const [, list] = /set\(ND_CUDA_ARCHITECTURES "([^"]+)" CACHE/.exec(text) ?? [];
  if (list === undefined) throw new Stop('native/cmake/NdCuda.cmake has no list of GPUs.');
  return list;
}

/**
 * Writes the note of a module that lies in `folder`.
 * @param facts `architectures`: GPUs, as CMake names them; `flags`: more options of nvcc; `cuda`: version of the toolkit.
 */
export function writeNote(folder, { architectures, flags, cuda }) {
  const facts = { cuda, architectures: architectures.split(';'), flags, buildId: buildId(join(folder, module)) };
  writeAtomically(join(folder, note), `${JSON.stringify(facts, null, 2)}\n`);
}

/** Version of the toolkit that a release is compiled with: of its compiler, as CMake names it. */
export const releaseToolkit = pinned.wheels['nvidia-cuda-nvcc'].version;

/** Why the module in `folder` must not be released; empty when it may, or when there is none. */
export function trialReason(folder) {
  if (!existsSync(join(folder, module))) return '';
  if (!existsSync(join(folder, note))) return `${note} is not beside the module, so nobody knows what it was built for`;
  const { architectures, flags, cuda, buildId: built } = JSON.parse(readFileSync(join(folder, note), 'utf8'));
  if (built !== buildId(join(folder, module))) return `${note} tells of another build of the module`;
  const found = architectures.join(';');
  const wanted = releaseArchitectures();
  if (found !== wanted) return `it was built for ${found}, a release is built for ${wanted}`;
  if (cuda !== releaseToolkit) return `it was built with CUDA ${cuda}, a release is built with ${releaseToolkit}`;
  return flags === '' ? '' : `it was built with ${flags}, which makes slower code`;
}
