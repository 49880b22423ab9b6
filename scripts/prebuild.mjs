#!/usr/bin/env node
/**
 * `npm run prebuilds`: fills prebuilds/<platform>-<arch> with what the packages hold (scripts/package/table.mjs), stripped, and
 * build/debug/<platform>-<arch> with the symbols that were stripped. Does nothing when it holds this build already.
 *
 * prebuildify takes the addon out of the build folder that it is given, and stripping rewrites files in place; both would
 * kill a program that has them mapped. So they work on a copy in build/prebuild, which then takes the place of the folder
 * before. build/Release is only read, and no file of prebuilds/ is written to.
 */
import { cpSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname, extname, join } from 'node:path';
import { buildNative } from './build.mjs';
import { fingerprint, listFiles, stamp } from './tools/files.mjs';
import { locked } from './tools/lock.mjs';
import { addonFile, buildDir, root } from './tools/paths.mjs';
import { run, runTool, which } from './tools/run.mjs';
import { Stop, entry, say, since } from './tools/say.mjs';

const musl = process.platform === 'linux' && process.report.getReport().header.glibcVersionRuntime === undefined;

/** `linux-x64`, `linuxmusl-arm64`, `darwin-arm64`, `win32-x64`: of this machine. */
export const hostTag = `${process.platform}${musl ? 'musl' : ''}-${process.arch}`;
export const prebuildsFolder = join(root, 'prebuilds', hostTag);
/** Symbols of the stripped files, one `NAME.debug` each. */
const debugFolder = join(buildDir, 'debug', hostTag);

const work = join(buildDir, 'prebuild');
/** Laid out as prebuildify wants to find and leave it. */
const copied = join(work, 'build', 'Release');
const made = join(work, 'prebuilds', hostTag);
const symbols = join(work, 'debug');

const binary = /\.(?:node|so|dylib|dll)$/;

/** Builds, and fills the folder of the prebuilds unless it holds this build already. */
export async function prebuild() {
  await buildNative();
  const done = stamp('prebuilds');
  const state = () => fingerprint(listFiles(['build/Release'], wanted), { script: 5 });
  const upToDate = () => existsSync(join(prebuildsFolder, 'node-diffusion.node')) && done.matches(state());
  if (upToDate()) return say('prebuilds: nothing to do');
  await locked(join(buildDir, '.lock-prebuilds'), 'prebuilds', async () => {
    if (upToDate()) return;
    const start = performance.now();
    rmSync(work, { recursive: true, force: true });
    const from = await locked(join(buildDir, '.lock'), 'prebuilds', async () => {
      cpSync(dirname(addonFile), copied, { recursive: true, filter: library });
      return state();
    });
    await collect();
    await strip();
    replace(made, prebuildsFolder);
    replace(symbols, debugFolder);
    done.write(from);
    rmSync(work, { recursive: true, force: true });
    say(`prebuilds: ready in prebuilds/${hostTag}, symbols in build/debug/${hostTag} (${since(start)})`);
  });
}

function wanted(path) {
  return !path.includes('.') || binary.test(path) || /\.so\.|\.json$/.test(path);
}

/** What is not a program: those of the tests are large, and no package has one. */
function library(path) {
  return extname(path) !== '' || statSync(path).isDirectory();
}

async function collect() {
  const bridge = join(root, 'scripts/gyp-build.mjs');
  // Its own way of stripping keeps no symbols.
  const options = ['--napi', '--node-gyp', bridge, '--cwd', work, '--name', 'node-diffusion'];
  await runTool('prebuildify', [...options, ...(musl ? ['--platform', 'linuxmusl'] : [])]);
  // What a module was built for (scripts/package/cuda.mjs).
  const notes = readdirSync(copied).filter((name) => /^ggml-.*\.json$/.test(name));
  for (const name of notes) cpSync(join(copied, name), join(made, name));
  // Run-time libraries of a backend module lie in a folder beside it, which prebuildify does not look into.
  const folders = readdirSync(copied, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  for (const { name } of folders) cpSync(join(copied, name), join(made, name), { recursive: true });
}

/** Puts a folder in the place of another, whose files stay whole for whoever has them open. */
function replace(folder, place) {
  const before = join(work, 'before');
  mkdirSync(dirname(place), { recursive: true });
  if (existsSync(place)) renameSync(place, before);
  renameSync(folder, place);
  rmSync(before, { recursive: true, force: true });
}

async function strip() {
  mkdirSync(symbols, { recursive: true });
  if (process.platform === 'win32') return; // symbols are in .pdb files there, never in the binary
  for (const name of readdirSync(made).filter((name) => binary.test(name))) {
    const file = join(made, name);
    const kept = join(symbols, `${name}.debug`);
    if (process.platform === 'darwin') {
      await run('dsymutil', [file, '-o', kept]);
      await run('strip', ['-Sx', file]);
      continue;
    }
    if (which('objcopy') === null) throw new Stop('objcopy is missing: install binutils.');
    await run('objcopy', ['--only-keep-debug', file, kept]);
    await run('objcopy', ['--strip-all', `--add-gnu-debuglink=${kept}`, file]);
  }
}

entry(import.meta.url, prebuild);
