#!/usr/bin/env node
/**
 * Brings what the Vulkan backend is compiled with into native/vendor/vulkan (ignored by git); does nothing when it is there:
 * headers, the loader library to link with, and the shader compiler glslc. They come as packages of one Debian release
 * (scripts/pins.mjs) through apt, with folders of its own, so the system's packages stay as they are. `VULKAN_SDK` names
 * another installation, as Vulkan's own tools understand it; then nothing is fetched.
 */
import { chmodSync, copyFileSync, existsSync, mkdirSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { vulkan } from './pins.mjs';
import { sha256 } from './tools/files.mjs';
import { vulkanDir } from './tools/paths.mjs';
import { capture, run, which } from './tools/run.mjs';
import { Stop, entry, say, since } from './tools/say.mjs';
import { vendored } from './tools/vendored.mjs';

/** Debian's names of this machine's architecture; undefined where its packages are not pinned. */
const machine = {
  x64: { debian: 'amd64', triplet: 'x86_64-linux-gnu', loader: 'ld-linux-x86-64.so.2' },
  arm64: { debian: 'arm64', triplet: 'aarch64-linux-gnu', loader: 'ld-linux-aarch64.so.1' },
}[process.arch];

/** What the shader compiler is started with beside its loader. */
const carried = ['libc.so.6', 'libm.so.6', 'libgcc_s.so.1', 'libstdc++.so.6', 'libshaderc.so.1'];
const own = 'Install Vulkan headers 1.3.301 or newer and glslc, and set VULKAN_SDK to where they are.';

/** Folder with `include`, `lib` and `bin/glslc`, absolute; null when `VULKAN_SDK` is used instead. */
export async function vulkanPackage() {
  if (process.env.VULKAN_SDK) return null;
  if (process.platform !== 'linux' || machine === undefined || which('apt-get') === null) {
    throw new Stop(`Vulkan's packages are brought on Debian for x86-64 and arm64 only. ${own}`);
  }
  const about = { what: 'Vulkan packages', fetching: `glslc and headers of Debian ${vulkan.suite} (18 MB)` };
  return vendored({ folder: vulkanDir, pinned: JSON.stringify(vulkan), ...about }, bring);
}

async function bring(work) {
  const debs = join(work, 'debs');
  mkdirSync(debs);
  await download(work, debs);
  const unpacked = join(work, 'unpacked');
  for (const name of readdirSync(debs)) {
    check(debs, name);
    await run('dpkg-deb', ['-x', join(debs, name), unpacked]);
  }
  const kept = join(work, 'kept');
  arrange(join(unpacked, 'usr'), kept);
  return kept;
}

/** Downloads through apt from the mirror that this machine uses, whose proxy and keyring stay in force. */
async function download(work, folder) {
  const { address, keyring } = mirror();
  const lists = join(work, 'lists');
  const cache = join(work, 'cache');
  for (const made of [lists, cache]) mkdirSync(join(made, 'partial'), { recursive: true });
  const sources = join(work, 'sources.list');
  writeFileSync(sources, `deb [arch=${machine.debian} signed-by=${keyring}] ${address} ${vulkan.suite} main\n`);
  const settings = {
    'Dir::Etc::SourceList': sources,
    'Dir::Etc::SourceParts': '/dev/null',
    'Dir::State::Lists': lists,
    'Dir::State::Status': '/dev/null',
    'Dir::Cache': cache,
    'APT::Architecture': machine.debian,
    'APT::Sandbox::User': 'root',
    'Acquire::Languages': 'none',
  };
  const options = Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
  await run('apt-get', ['-qq', ...options, 'update']);
  const packages = Object.entries(vulkan.packages).map(([name, { version }]) => `${name}=${version}`);
  await run('apt-get', ['-qq', ...options, 'download', ...packages, ...vulkan.carriers], { cwd: folder });
}

/** Debian's archive as this machine knows it, and the keys it is signed with. */
function mirror() {
  const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg';
  const known = capture('apt-get', ['indextargets', '--format', '$(ORIGIN) $(REPO_URI)', 'Identifier: Packages']) ?? '';
  const address = known
    .split('\n')
    .filter((line) => line.startsWith('Debian ') && !line.includes('security'))
    .map((line) => line.slice('Debian '.length))[0];
  if (address === undefined || !existsSync(keyring)) {
    throw new Stop(`no mirror of Debian, or not its keyring, is known to apt here (try "apt-get update"). ${own}`);
  }
  return { address, keyring };
}

function check(folder, name) {
  const pin = vulkan.packages[name.split('_', 1)[0]];
  if (pin === undefined) return;
  const found = sha256(join(folder, name));
  const pinned = pin[machine.debian];
  if (found !== pinned) throw new Stop(`${name} has SHA-256 ${found}, expected ${pinned}; nothing was unpacked.`);
}

/** Of the packages' files those that are used; glslc behind a script that starts it with the C library it was made for. */
function arrange(usr, kept) {
  const libraries = join(usr, 'lib', machine.triplet);
  mkdirSync(join(kept, 'bin/lib'), { recursive: true });
  mkdirSync(join(kept, 'lib'));
  renameSync(join(usr, 'include'), join(kept, 'include'));
  renameSync(join(usr, 'share/doc'), join(kept, 'licenses'));
  renameSync(join(usr, 'bin/glslc'), join(kept, 'bin/glslc.bin'));
  copyFileSync(join(libraries, 'libvulkan.so.1'), join(kept, 'lib/libvulkan.so'));
  for (const name of [machine.loader, ...carried]) copyFileSync(join(libraries, name), join(kept, 'bin/lib', name));
  chmodSync(join(kept, 'bin/lib', machine.loader), 0o755);
  const lines = [
    '#!/bin/sh',
    'bin=$(dirname "$(readlink -f "$0")")',
    `exec "$bin/lib/${machine.loader}" --library-path "$bin/lib" "$bin/glslc.bin" "$@"`,
  ];
  writeFileSync(join(kept, 'bin/glslc'), `${lines.join('\n')}\n`);
  chmodSync(join(kept, 'bin/glslc'), 0o755);
}

entry(import.meta.url, async () => {
  const start = performance.now();
  say(`Vulkan packages: ${(await vulkanPackage()) ?? `VULKAN_SDK=${process.env.VULKAN_SDK}`} (${since(start)})`);
});
