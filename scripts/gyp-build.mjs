#!/usr/bin/env node
/**
 * The bridge from node-gyp and prebuildify to the CMake project. Two callers:
 * - binding.gyp runs it as its one action (with the architecture as `--arch=…`);
 * - `prebuildify --node-gyp scripts/gyp-build.mjs` runs it in node-gyp's place, with node-gyp's arguments
 *   (`rebuild --target=… --devdir=… --arch=… --release`), which saves the headers that node-gyp would download.
 * Always the release build: the CMake presets make the others.
 * Both find the addon in build/Release, where node-gyp would have put it.
 */
import { buildNative } from './build.mjs';
import { Stop, entry } from './tools/say.mjs';

entry(import.meta.url, async (args) => {
  const value = (name) => args.find((arg) => arg.startsWith(`--${name}=`))?.slice(name.length + 3);
  const arch = value('arch') ?? process.arch;
  if (arch !== process.arch) {
    throw new Stop(`this machine is ${process.arch}; build the ${arch} addon on a machine of that kind.`);
  }
  await buildNative();
});
