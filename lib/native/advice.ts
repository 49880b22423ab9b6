import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { inArchive, noFile, notInstalled } from './candidates.js';
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
  /** Version of this system's glibc; empty where it has none. */
  readonly glibc: string;
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

const add = {
  npm: 'npm install --save-optional',
  pnpm: 'pnpm add --save-optional',
  yarn: 'yarn add --optional',
} as const;

const again = { npm: 'npm ci', pnpm: 'pnpm install --force', yarn: 'yarn install --force' } as const;

/** The platform package is not installed: a lockfile or a node_modules of another system, or left out on purpose. */
function missingAdvice({ root, tag, version }: AdviceContext): string {
  const name = platformPackageName(tag);
  const { lockfile, manager, locked, installed } = projectOf(root, name);
  const others = installed.filter((other) => other !== tag);
  if (lockfile !== null && !locked) {
    const why = `${lockfile} does not have ${name}: it was written on another system`;
    return `${why}, which left out what does not run there. Add it: ${add[manager]} ${name}@${version}`;
  }
  if (others.length > 0) {
    const why = `node_modules comes from another system: it holds the package for ${others.join(', ')}, this is ${tag}`;
    return `${why}. Install here: ${again[manager]}`;
  }
  const why = `The platform package ${name} is missing, as happens when optional dependencies were left out`;
  const command = manager === 'npm' ? `npm install --include=optional node-diffusion@${version}` : again[manager];
  return `${why}. Install it: ${command}`;
}

function brokenAdvice({ problem }: Attempt, { root, tag, version, glibc }: AdviceContext): string {
  if (problem === inArchive) {
    const pattern = '**/node_modules/{@node-diffusion,@img}/**';
    return `Have the packager leave native code outside of the archive: npm pkg set 'build.asarUnpack[]=${pattern}' (electron-builder; in Electron Forge: packagerConfig.asar.unpack).`;
  }
  const library = /(?:^|[\s:])(lib[\w.+-]+\.so[\w.]*): cannot open shared object file/.exec(problem)?.[1];
  if (library !== undefined) {
    return `A library that the binary needs is missing: ${library}. Install the package of your system that holds it.`;
  }
  const needed = /version [`'](GLIBC(?:XX)?)_([\d.]+)' not found/.exec(problem);
  if (needed !== null) {
    const what = `${needed[1] === 'GLIBC' ? 'glibc' : 'libstdc++'} ${needed[1] ?? ''}_${needed[2] ?? ''}`;
    const here = glibc === '' ? 'this system is older' : `this system has glibc ${glibc}`;
    return `The binary needs ${what}, ${here}. Use Debian 12, Ubuntu 22.04 or newer, or build from source: ${fromSource}`;
  }
  if (/is version .*, this package is/.test(problem))
    return `Install both in one version: npm install node-diffusion@${version}`;
  const { manager } = projectOf(root, platformPackageName(tag));
  if (/invalid ELF header|wrong ELF class|not a valid Win32|incompatible architecture|not a mach-o/i.test(problem)) {
    return `The file is not a binary for ${tag}. Install again on this system: ${again[manager]}`;
  }
  if (/failed to map segment|cannot enable executable/i.test(problem)) {
    return 'The system does not let it run code from there (a mount with noexec, SELinux): move the project to another file system.';
  }
  return `Install again on this system (${again[manager]}), or build from source: ${fromSource}`;
}
