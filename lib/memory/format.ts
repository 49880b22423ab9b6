const gib = 2 ** 30;
const mib = 2 ** 20;

/** Bytes for people: `1.25 GiB`, `310 MiB`, `0.8 MiB`. */
export function formatBytes(bytes: number): string {
  if (bytes >= gib) return `${(bytes / gib).toFixed(2)} GiB`;
  return `${bytes >= 10 * mib ? String(Math.round(bytes / mib)) : (bytes / mib).toFixed(1)} MiB`;
}
