import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { locked } from './lock.mjs';
import { root } from './paths.mjs';
import { say, since } from './say.mjs';

const stamp = '.node-diffusion-package';

/**
 * A folder of third-party files, ignored by git: absolute path, its name in messages, and the pins as text, by which a
 * folder of other versions is known.
 * @param bring makes the files in an empty folder beside it and resolves with the one that shall take the place.
 */
export async function vendored({ folder, what, pinned, fetching }, bring) {
  const present = () => existsSync(join(folder, stamp)) && readFileSync(join(folder, stamp), 'utf8') === pinned;
  if (present()) return folder;
  const work = `${folder}.part`;
  await locked(`${folder}.lock`, what, async () => {
    if (present()) return;
    const start = performance.now();
    say(`${what}: fetching ${fetching}`);
    try {
      rmSync(work, { recursive: true, force: true });
      mkdirSync(work, { recursive: true });
      const made = await bring(work);
      writeFileSync(join(made, stamp), pinned);
      rmSync(folder, { recursive: true, force: true });
      mkdirSync(dirname(folder), { recursive: true });
      renameSync(made, folder);
      say(`${what}: ready in ${relative(root, folder)} (${since(start)})`);
    } finally {
      rmSync(work, { recursive: true, force: true });
    }
  });
  return folder;
}
