import { systemLibraries } from '../../native/libraries.js';

/** The C library of this process: `glibc 2.36`, `musl`; null where there is no choice. */
export function libcOf(platform: string): string | null {
  if (platform.startsWith('linuxmusl')) return 'musl';
  if (!platform.startsWith('linux')) return null;
  const { glibc } = systemLibraries();
  return glibc === '' ? null : `glibc ${glibc}`;
}
