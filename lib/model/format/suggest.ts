import { opendir } from 'node:fs/promises';
import { basename, dirname, extname, join } from 'node:path';

/** A directory may hold a million files; looking at this many is enough for a hint. */
const maxEntries = 2000;
const maxSuggestions = 3;

/** Levenshtein distance of two file names (each at most 255 characters on common systems). */
function distance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 0; i < a.length; i++) {
    const current = [i + 1];
    for (let j = 0; j < b.length; j++) {
      const replaced = (previous[j] ?? 0) + (a[i] === b[j] ? 0 : 1);
      current.push(Math.min(replaced, (previous[j + 1] ?? 0) + 1, (current[j] ?? 0) + 1));
    }
    previous = current;
  }
  return previous[b.length] ?? 0;
}

function score(wanted: string, candidate: string): number {
  const a = wanted.toLowerCase();
  const b = candidate.toLowerCase();
  if (a === b) return 0;
  if (basename(a, extname(a)) === basename(b, extname(b))) return 1;
  if (a.length > 3 && (b.startsWith(basename(a, extname(a))) || a.startsWith(basename(b, extname(b))))) return 2;
  return distance(a, b);
}

/** Paths of files in the same directory whose names are close to the missing one, closest first. Never throws. */
export async function similarFiles(path: string): Promise<string[]> {
  const directory = dirname(path);
  const wanted = basename(path).slice(0, 255);
  const limit = Math.max(2, Math.floor(wanted.length / 3));
  const found: { name: string; score: number }[] = [];
  try {
    let seen = 0;
    for await (const entry of await opendir(directory)) {
      if (++seen > maxEntries) break;
      const close = score(wanted, entry.name);
      if (close <= limit) found.push({ name: entry.name, score: close });
    }
  } catch {
    return [];
  }
  found.sort((a, b) => a.score - b.score || (a.name < b.name ? -1 : 1));
  return found.slice(0, maxSuggestions).map((entry) => join(directory, entry.name));
}
