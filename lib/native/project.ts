import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

/** What a project says about how its packages are installed; looked at when the addon is missing. */
export interface ProjectFacts {
  /** The nearest lockfile, absolute; null when there is none. */
  readonly lockfile: string | null;
  readonly manager: 'npm' | 'pnpm' | 'yarn';
  /** The lockfile has the platform package; true without one, since then nothing speaks against it. */
  readonly locked: boolean;
  /** Tags of platform packages that are installed, e.g. `darwin-arm64`. */
  readonly installed: readonly string[];
}

const lockfiles = [
  ['package-lock.json', 'npm'],
  ['npm-shrinkwrap.json', 'npm'],
  ['pnpm-lock.yaml', 'pnpm'],
  ['yarn.lock', 'yarn'],
] as const;

/** Looks at the project that a package is installed in. Never throws. */
export function projectOf(root: string, packageName: string): ProjectFacts {
  const installed = installedTags(root, dirname(packageName));
  // Everything above node_modules: a lockfile inside belongs to somebody else.
  for (let folder = above(root); ; folder = dirname(folder)) {
    for (const [name, manager] of lockfiles) {
      const lockfile = join(folder, name);
      if (!existsSync(lockfile)) continue;
      return { lockfile, manager, locked: mentions(lockfile, packageName), installed };
    }
    if (folder === dirname(folder)) return { lockfile: null, manager: 'npm', locked: true, installed };
  }
}

/** The folder that holds the outermost node_modules of a path; the path itself when there is none. */
function above(path: string): string {
  const at = path.search(/[\\/]node_modules(?:[\\/]|$)/);
  return at < 0 ? path : path.slice(0, at);
}

function mentions(lockfile: string, packageName: string): boolean {
  try {
    const text = readFileSync(lockfile, 'utf8');
    if (!lockfile.endsWith('.json')) return new RegExp(`${packageName}@`).test(text);
    return text.includes(`"node_modules/${packageName}"`);
  } catch {
    return true;
  }
}

/** Platform packages (no backend ones) that lie where Node would find ours. */
function installedTags(root: string, scope: string): string[] {
  const places = createRequire(join(root, 'package.json')).resolve.paths(scope) ?? [];
  const found = places.flatMap((place) => {
    try {
      return readdirSync(join(place, scope));
    } catch {
      return [];
    }
  });
  return [...new Set(found.filter((name) => name.split('-').length === 2))].sort();
}
