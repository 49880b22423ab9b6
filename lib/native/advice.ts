import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { inArchive, noFile, notInstalled } from './candidates.js';
import { addCommand, againCommand, mainCommand } from './commands.js';
import type { SystemLibraries } from './libraries.js';
import { platformPackageName, prebuiltTags } from './packages.js';
import { projectOf } from './project.js';

/** One attempt to load the addon. */
export interface Attempt {
  readonly source: string;
  readonly path: string;
  /** Why it was not used; empty for the one that was. */
  readonly problem: string;
}

export interface AdviceContext {
  readonly root: string;
  readonly tag: string;
  readonly version: string;
  readonly attempts: readonly Attempt[];
  /** Of this system. */
  readonly libraries: SystemLibraries;
}

const fromSource =
  'npm install cmake-js node-addon-api node-api-headers && npm explore node-diffusion -- npm run build:native';

/** What to do when no addon could be loaded: what is wrong, and one command that mends it. */
export function loadAdvice(context: AdviceContext): string {
  const { root, tag, attempts } = context;
  const broken = attempts.find(({ problem }) => problem !== noFile && problem !== notInstalled);
  if (broken !== undefined) return brokenAdvice(broken, context);
  const named = attempts.find((a) => a.source === 'option "binary"' || a.source === 'NODE_DIFFUSION_BINARY');
  if (named !== undefined)
    return `Point ${named.source} at a file node-diffusion.node, or leave it out to search for one.`;
  if (existsSync(join(root, 'CMakeLists.txt')) && existsSync(join(root, '.git'))) return 'Build it: npm run build';
  if (prebuiltTags.includes(tag)) return missingAdvice(context);
  const musl = tag.startsWith('linuxmusl')
    ? ' (this system uses musl, and the prebuilt binaries need glibc: in Docker take a Debian image such as node:22-slim)'
    : '';
  return `There is no prebuilt binary for ${tag}${musl}. Build it from source: ${fromSource}`;
}

/** The platform package is not installed: a lockfile or a node_modules of another system, or left out on purpose. */
function missingAdvice({ root, tag, version }: AdviceContext): string {
  const name = platformPackageName(tag);
  const project = projectOf(root, name);
  const others = project.installed.filter((other) => other !== tag);
  if (project.lockfile !== null && !project.locked) {
    const why = `${project.lockfile} does not have ${name}: it was written on another system`;
    return `${why}, which left out what does not run there. Add it: ${addCommand(project, name, version)}`;
  }
  if (others.length > 0) {
    const why = `node_modules comes from another system: it holds the package for ${others.join(', ')}, this is ${tag}`;
    return `${why}. Install here: ${againCommand(project, version)}`;
  }
  const why = `The platform package ${name} is missing, as happens when optional dependencies were left out`;
  // Also where npm's settings leave them out.
  const command = project.manager === 'npm' ? mainCommand(project, version) : againCommand(project, version);
  return `${why}. Install it: ${command}`;
}

/** Packs everything of ours and of sharp beside an Electron archive; docs/electron.md has the same. */
export const unpackPattern = '**/node_modules/{node-diffusion,@node-diffusion,sharp,@img}/**';

/** The library that a loader's message says is not there; undefined when it says something else. */
export function missingLibrary(message: string): string | undefined {
  const linux = /(?:^|[\s:])(lib[\w.+-]+\.so[\w.]*): cannot open shared object file/.exec(message);
  return (linux ?? /Library not loaded: (?:\S*\/)?(lib[\w.+-]+\.dylib)/.exec(message))?.[1];
}

/** What to do about a missing library of our own packages, which no system holds; undefined for one of the system. */
export function ownLibraryAdvice(library: string): string | undefined {
  if (!/^lib(?:node-diffusion|ggml)/.test(library)) return undefined;
  const why = `${library} belongs beside the binary and was left behind when the package was copied, bundled or packed`;
  return `${why}. Keep the whole folder of the package together (Electron: asarUnpack "${unpackPattern}"; Next.js and bundlers: docs/install.md).`;
}

function brokenAdvice({ problem }: Attempt, { root, tag, version, libraries }: AdviceContext): string {
  if (problem === inArchive) {
    return `Have the packager leave native code outside of the archive: npm pkg set "build.asarUnpack[]=${unpackPattern}" (electron-builder; in Electron Forge: packagerConfig.asar.unpack).`;
  }
  const library = missingLibrary(problem);
  if (library !== undefined) {
    const system = `A library that the binary needs is missing: ${library}. Install the package of your system that holds it.`;
    return ownLibraryAdvice(library) ?? system;
  }
  // The package said so before it was loaded, or the system's loader after.
  const needed =
    /needs (glibc|libstdc\+\+) (?:GLIBCXX_)?([\d.]+)/.exec(problem) ??
    /version [`'](GLIBC(?:XX)?)_([\d.]+)' not found/.exec(problem);
  if (needed !== null) {
    const [, what = '', least = ''] = needed;
    const isC = what === 'GLIBC' || what === 'glibc';
    const name = isC ? 'glibc ' : 'libstdc++ with GLIBCXX_';
    const found = isC ? libraries.glibc : libraries.glibcxx;
    const here = found === '' ? 'this system is older' : `this system has ${name}${found}`;
    return `The binary needs ${name}${least}, ${here}. Use a system or image that has it, or build from source: ${fromSource}`;
  }
  const project = projectOf(root, platformPackageName(tag));
  if (/is version .*, this package is/.test(problem)) {
    return `Install both in one version: ${mainCommand(project, version)}`;
  }
  const again = againCommand(project, version);
  if (/invalid ELF header|wrong ELF class|not a valid Win32|incompatible architecture|not a mach-o/i.test(problem)) {
    return `The file is not a binary for ${tag}. Install again on this system: ${again}`;
  }
  if (/failed to map segment|cannot enable executable/i.test(problem)) {
    return 'The system does not let it run code from there (a mount with noexec, SELinux): move the project to another file system.';
  }
  return `Install again on this system (${again}), or build from source: ${fromSource}`;
}
