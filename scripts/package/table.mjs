/**
 * The packages of a release, as data: `pack-all.mjs` packs by this table, tests and the loader's advice are held to it.
 *
 * Every platform has a core package `@node-diffusion/<tag>`, which npm installs by itself as an optional dependency of the
 * main package, and a package `@node-diffusion/<tag>-<backend>` for each further backend, which a person installs. Files
 * are matched by their path below the folder of the prebuilds.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { cuda } from '../pins.mjs';
import { root } from '../tools/paths.mjs';
import { trialReason } from './cuda.mjs';

const { version: ownVersion } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const library = (name) => new RegExp(`^(?:lib)?${name}\\.(?:so|dylib|dll)$`);
/** A library that carries our version in its name (native/cmake/NdEngine.cmake); one of another version may lie beside it. */
const versioned = (name) => library(`${name}-${ownVersion.replaceAll('.', '\\.')}`);

/** @type {readonly { tag: string, os: string, cpu: string, libc?: string, backends: readonly string[] }[]} */
export const platforms = [
  { tag: 'linux-x64', os: 'linux', cpu: 'x64', libc: 'glibc', backends: ['openvino', 'vulkan', 'cuda13'] },
  { tag: 'linux-arm64', os: 'linux', cpu: 'arm64', libc: 'glibc', backends: ['vulkan'] },
  { tag: 'darwin-arm64', os: 'darwin', cpu: 'arm64', backends: [] },
  { tag: 'win32-x64', os: 'win32', cpu: 'x64', backends: ['vulkan'] },
];

/**
 * What each kind of package holds. `needs`: there must be at least one file for each; `may`: taken where there is one;
 * `trial`: says why the files of a folder must not be released.
 */
export const contents = {
  core: {
    title: 'addon, engine and CPU variants',
    needs: [
      /^node-diffusion\.node$/,
      versioned('node-diffusion-ggml-base'),
      versioned('node-diffusion-ggml'),
      library('ggml-cpu(?:-[\\w.]+)?'),
    ],
    // Of macOS.
    may: [library('ggml-metal'), library('ggml-blas')],
  },
  openvino: {
    title: 'OpenVINO backend with its runtime libraries',
    needs: [library('ggml-openvino'), /^openvino\/libopenvino\./],
    may: [/^openvino\//],
    licences: 'native/vendor/openvino/licenses',
  },
  vulkan: { title: 'Vulkan backend', needs: [library('ggml-vulkan')], may: [] },
  // cuBLAS is left out, 600 MB: docs/cuda.md says where it comes from.
  cuda13: {
    title: 'CUDA 13 backend with the CUDA runtime',
    needs: [library('ggml-cuda'), /^ggml-cuda\.json$/, /^libcudart\.so\.13$/],
    may: [],
    licences: `native/vendor/cuda/licenses/nvidia_cuda_runtime-${cuda.wheels['nvidia-cuda-runtime'].version}`,
    trial: trialReason,
  },
};

/** Every package but the main one: `{ name, kind, platform, title, needs, may, licences, trial }`. */
export const platformPackages = platforms.flatMap((platform) =>
  ['core', ...platform.backends].map((kind) => ({
    name: `@node-diffusion/${platform.tag}${kind === 'core' ? '' : `-${kind}`}`,
    kind,
    platform,
    ...contents[kind],
  })),
);

/** `optionalDependencies` of the packed main package: the core of every platform, in exactly its own version. */
export function coreDependencies(version) {
  const cores = platformPackages.filter(({ kind }) => kind === 'core');
  return Object.fromEntries(cores.map(({ name }) => [name, version]));
}

/** Names of the packages that bring a further backend, of every platform. */
export const backendPackages = platformPackages.filter(({ kind }) => kind !== 'core').map(({ name }) => name);
