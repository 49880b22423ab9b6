import { readFileSync } from 'node:fs';

/** Platform tag of binaries, e.g. `linux-x64`, `linuxmusl-arm64`, `darwin-arm64`, `win32-x64`. */
export function platformTag(
  platform: string = process.platform,
  arch: string = process.arch,
  musl: boolean = platform === 'linux' && usesMusl(),
): string {
  return `${platform}${musl ? 'musl' : ''}-${arch}`;
}

/**
 * True when this process runs on musl. The loader of the process shows in its memory map; a file such as
 * /etc/alpine-release does not tell, since glibc programs run on Alpine and musl programs elsewhere.
 */
export function usesMusl(): boolean {
  try {
    return readFileSync('/proc/self/maps', 'latin1').includes('/ld-musl-');
  } catch {
    return false;
  }
}
