import { existsSync } from 'node:fs';
import { join } from 'node:path';

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
}

/** Platforms that prebuilt packages exist for. */
export const prebuiltTags: readonly string[] = ['linux-x64', 'linux-arm64', 'darwin-arm64', 'darwin-x64', 'win32-x64'];

/** What to do when no addon could be loaded: one sentence with one command. */
export function loadAdvice({ root, tag, version, attempts }: AdviceContext): string {
  const broken = attempts.find((attempt) => attempt.problem !== 'no such file' && attempt.problem !== 'not installed');
  if (broken !== undefined) return brokenAdvice(broken, tag, version);
  const named = attempts.find((a) => a.source === 'option "binary"' || a.source === 'NODE_DIFFUSION_BINARY');
  if (named !== undefined)
    return `Point ${named.source} at a file node-diffusion.node, or leave it out to search for one.`;
  if (existsSync(join(root, 'CMakeLists.txt')) && existsSync(join(root, '.git'))) return 'Build it: npm run build';
  if (!prebuiltTags.includes(tag)) {
    const musl = tag.startsWith('linuxmusl') ? ' (this system uses musl; the prebuilt binaries need glibc)' : '';
    return `There is no prebuilt binary for ${tag}${musl}. Build it from source: npm install cmake-js node-addon-api node-api-headers && npm explore node-diffusion -- npm run build:native`;
  }
  const [os, cpu] = tag.split('-') as [string, string];
  return (
    'The platform package is missing, as happens when the lockfile was written on another system or optional ' +
    `dependencies were left out. Install it: npm install --os=${os} --cpu=${cpu} --include=optional node-diffusion@${version}`
  );
}

function brokenAdvice({ problem }: Attempt, tag: string, version: string): string {
  const library = /(?:^|[\s:])(lib[\w.+-]+\.so[\w.]*): cannot open shared object file/.exec(problem)?.[1];
  if (library !== undefined) {
    return `A library that the binary needs is missing: ${library}. Install the package of your system that holds it.`;
  }
  const glibc = /version [`'](GLIBC(?:XX)?_[\d.]+)' not found/.exec(problem)?.[1];
  if (glibc !== undefined) {
    return `This system's C or C++ library is older than ${glibc}. Build from source: npm install cmake-js node-addon-api node-api-headers && npm explore node-diffusion -- npm run build:native`;
  }
  if (/is version .*, this package is/.test(problem))
    return `Install both in one version: npm install node-diffusion@${version}`;
  if (/invalid ELF header|wrong ELF class|not a valid Win32|incompatible architecture|not a mach-o/i.test(problem)) {
    return `The file is not a binary for ${tag}. Install again on this system: npm ci`;
  }
  return 'Install again on this system (npm ci), or build from source: npm install cmake-js node-addon-api node-api-headers && npm explore node-diffusion -- npm run build:native';
}
