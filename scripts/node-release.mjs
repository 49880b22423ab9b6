#!/usr/bin/env node
/**
 * Brings a pinned release of Node (scripts/pins.mjs) into .cache/node (ignored by git) as an npm package; does nothing when it
 * is there. The package tests run installed packages on it. Nothing else uses it.
 *
 *   node scripts/node-release.mjs [22] [24]
 */
import { copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { nodeReleases } from './pins.mjs';
import { npm } from './package/npm.mjs';
import { sha256 } from './tools/files.mjs';
import { nodesDir } from './tools/paths.mjs';
import { run } from './tools/run.mjs';
import { Stop, entry, say } from './tools/say.mjs';
import { vendored } from './tools/vendored.mjs';

/**
 * A release by its major version: resolves with `{ program }`, absolute, or with `{ missing }`, the reason why it cannot be
 * had here. An archive of other bytes than the pinned ones is an error.
 */
export async function nodeRelease(major) {
  const { version, sha256: pinned } = nodeReleases[major];
  if (process.platform !== 'linux' || process.arch !== 'x64')
    return { missing: `no release is pinned for ${process.platform}-${process.arch}` };
  const spec = `${nodeReleases.package}@${version}`;
  const about = { what: `Node ${version}`, fetching: `${spec} (52 MB)` };
  try {
    const folder = await vendored({ folder: join(nodesDir, version), pinned, ...about }, (work) =>
      bring(spec, pinned, work),
    );
    return { program: join(folder, 'bin', 'node') };
  } catch (error) {
    if (error instanceof NotServed) return { missing: error.message };
    throw error;
  }
}

/** The registry of this machine cannot be reached, or lacks the package. */
class NotServed extends Error {}

async function bring(spec, pinned, work) {
  const archive = join(work, download(spec, work));
  const found = sha256(archive);
  if (found !== pinned) throw new Stop(`${spec} has SHA-256 ${found}, expected ${pinned}; nothing was unpacked.`);
  await run('tar', ['-xzf', archive, '-C', work, 'package/bin/node', 'package/LICENSE']);
  const kept = join(work, 'kept');
  mkdirSync(join(kept, 'bin'), { recursive: true });
  copyFileSync(join(work, 'package/LICENSE'), join(kept, 'LICENSE'));
  copyFileSync(join(work, 'package/bin/node'), join(kept, 'bin/node'));
  return kept;
}

/** Downloads through npm, whose own settings (registry, proxy, cache) stay in force; the name of the archive. */
function download(spec, folder) {
  try {
    const [{ filename }] = JSON.parse(npm(['pack', spec, '--json', '--pack-destination', folder, '--fetch-retries=1']));
    return filename;
  } catch (error) {
    const said = String(error.stderr || error.message).trim();
    // Other bytes than the registry promised, or a full disk, are no lack of the package.
    if (!/\bE404\b|ETARGET|ENOTFOUND|ECONN|ETIMEDOUT|EAI_AGAIN|ENOTCACHED|ERR_SOCKET|FETCH_ERROR/i.test(said))
      throw error;
    throw new NotServed(`npm cannot bring ${spec}: ${said.split('\n')[0]}`, { cause: error });
  }
}

entry(import.meta.url, async (args) => {
  for (const major of args.length > 0 ? args : [22, 24]) {
    const { program, missing } = await nodeRelease(major);
    say(program ?? missing);
    if (missing !== undefined) return 1;
  }
});
