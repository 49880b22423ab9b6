import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';

/** What {@link cacheDir} looks at; the process's own by default. */
export interface CacheDirSource {
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly platform?: NodeJS.Platform;
  readonly home?: string;
}

/**
 * Directory for files this package can make again: lifted models, hashes. It need not exist yet.
 *
 * `NODE_DIFFUSION_CACHE` names it outright (a relative path counts from the working directory). Otherwise
 * `node-diffusion` below `XDG_CACHE_HOME` or `~/.cache` (XDG Base Directory Specification), `~/Library/Caches` on
 * macOS, `%LOCALAPPDATA%` on Windows.
 */
export function cacheDir(source: CacheDirSource = {}): string {
  const env = source.env ?? process.env;
  const chosen = env.NODE_DIFFUSION_CACHE;
  if (chosen !== undefined && chosen !== '') return resolve(chosen);
  return join(base(env, source.platform ?? process.platform, source.home ?? homedir()), 'node-diffusion');
}

function base(env: Readonly<Record<string, string | undefined>>, platform: NodeJS.Platform, home: string): string {
  if (platform === 'darwin') return join(home, 'Library', 'Caches');
  if (platform === 'win32') return absolute(env.LOCALAPPDATA) ?? join(home, 'AppData', 'Local');
  return absolute(env.XDG_CACHE_HOME) ?? join(home, '.cache');
}

/** The specification says to ignore a relative path. */
function absolute(path: string | undefined): string | undefined {
  return path !== undefined && isAbsolute(path) ? path : undefined;
}
