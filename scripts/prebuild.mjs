#!/usr/bin/env node
/**
 * `npm run prebuilds`: fills prebuilds/<platform>-<arch> with what the packages hold (scripts/package/table.mjs), stripped, and
 * build/debug/<platform>-<arch> with the symbols that were stripped. prebuildify builds and copies; build/Release stays as
 * it is. Does nothing when it holds this build already.
 */
import { copyFileSync, cpSync, existsSync, mkdirSync, readdirSync, rmSync, statSync, utimesSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { buildNative } from './build.mjs';
import { fingerprint, listFiles, stamp } from './tools/files.mjs';
import { locked } from './tools/lock.mjs';
import { addonFile, buildDir, root } from './tools/paths.mjs';
import { run, runTool, which } from './tools/run.mjs';
import { Stop, entry, say, since } from './tools/say.mjs';

const release = dirname(addonFile);
const musl = process.platform === 'linux' && process.report.getReport().header.glibcVersionRuntime === undefined;

/** `linux-x64`, `linuxmusl-arm64`, `darwin-arm64`, `win32-x64`: of this machine. */
export const hostTag = `${process.platform}${musl ? 'musl' : ''}-${process.arch}`;
export const prebuildsFolder = join(root, 'prebuilds', hostTag);
/** Symbols of the stripped files, one `NAME.debug` each. */
export const debugFolder = join(buildDir, 'debug', hostTag);

const binary = /\.(?:node|so|dylib|dll)$/;

/** Builds, and fills the folder of the prebuilds unless it holds this build already. */
export async function prebuild() {
  await buildNative();
  const done = stamp('prebuilds');
  const state = () => fingerprint(listFiles(['build/Release'], wanted), { script: 3 });
  const upToDate = () => existsSync(join(prebuildsFolder, 'node-diffusion.node')) && done.matches(state());
  if (upToDate()) return say('prebuilds: nothing to do');
  await locked(join(buildDir, '.lock-prebuilds'), 'prebuilds', async () => {
    if (upToDate()) return;
    const start = performance.now();
    const made = state();
    for (const folder of [prebuildsFolder, debugFolder]) rmSync(folder, { recursive: true, force: true });
    await collect();
    await strip();
    done.write(made);
    say(`prebuilds: ready in prebuilds/${hostTag}, symbols in build/debug/${hostTag} (${since(start)})`);
  });
}

function wanted(path) {
  return !path.includes('.') || binary.test(path) || /\.so\.|\.json$/.test(path);
}

async function collect() {
  const bridge = join(root, 'scripts/gyp-build.mjs');
  // Its own way of stripping changes build/Release and keeps no symbols.
  await runTool('prebuildify', ['--napi', '--node-gyp', bridge, ...(musl ? ['--platform', 'linuxmusl'] : [])]);
  // It moves the addon; with the old time the build system sees that nothing is to be done.
  const moved = join(prebuildsFolder, 'node-diffusion.node');
  const { atime, mtime } = statSync(moved);
  copyFileSync(moved, addonFile);
  utimesSync(addonFile, atime, mtime);
  // Run-time libraries of a backend module lie in a folder beside it, which prebuildify does not look into.
  const folders = readdirSync(release, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  for (const { name } of folders) cpSync(join(release, name), join(prebuildsFolder, name), { recursive: true });
}

async function strip() {
  if (process.platform === 'win32') return; // symbols are in .pdb files there, never in the binary
  mkdirSync(debugFolder, { recursive: true });
  for (const name of readdirSync(prebuildsFolder).filter((name) => binary.test(name))) {
    const file = join(prebuildsFolder, name);
    const symbols = join(debugFolder, `${name}.debug`);
    if (process.platform === 'darwin') {
      await run('dsymutil', [file, '-o', symbols]);
      await run('strip', ['-Sx', file]);
      continue;
    }
    if (which('objcopy') === null) throw new Stop('objcopy is missing: install binutils.');
    await run('objcopy', ['--only-keep-debug', file, symbols]);
    await run('objcopy', ['--strip-all', `--add-gnu-debuglink=${symbols}`, file]);
  }
}

entry(import.meta.url, prebuild);
