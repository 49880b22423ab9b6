import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { backendPackages, coreDependencies } from './table.mjs';
import { prebuildsFolder } from '../prebuild.mjs';
import { ceiling } from './elf.mjs';
import { fingerprint, listFiles } from '../tools/files.mjs';
import { npm } from './npm.mjs';
import { root } from '../tools/paths.mjs';
import { Stop } from '../tools/say.mjs';

const own = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
export const mainName = own.name;

/** Scripts of package.json that an installed package can run. */
const usable = ['doctor', 'engine', 'build:native'];
const ofCheckout = ['devDependencies', 'overrides'];
const notices = ['LICENSE', 'THIRD_PARTY_NOTICES.md'];

/**
 * Lays the main package out in a folder: what npm would pack of the checkout, with the platform packages of the same
 * version as optional dependencies. They stand in the packed package.json only: in the checkout `npm ci` would look for
 * packages that no registry has yet, and the lockfile would have to name them. Backend packages, which people install, are
 * optional peers: where each package sees only what it asks for (pnpm without hoisting, Plug'n'Play), it sees those too.
 */
export function stageMain(folder) {
  const [{ files }] = JSON.parse(npm(['pack', '--dry-run', '--json']));
  const executable = new Set(Object.values(own.bin));
  fresh(folder);
  for (const { path } of files.filter((file) => file.path !== 'package.json')) {
    copy(join(root, path), join(folder, path), executable.has(path) ? 0o755 : 0o644);
  }
  const manifest = Object.fromEntries(Object.entries(own).filter(([name]) => !ofCheckout.includes(name)));
  const scripts = Object.fromEntries(usable.map((name) => [name, own.scripts[name]]));
  finish(folder, {
    ...manifest,
    ...repository(),
    scripts,
    optionalDependencies: coreDependencies(own.version),
    peerDependencies: Object.fromEntries(backendPackages.map((name) => [name, own.version])),
    peerDependenciesMeta: Object.fromEntries(backendPackages.map((name) => [name, { optional: true }])),
  });
}

/** Lays a platform package out in a folder. */
export function stagePlatform(entry, folder) {
  const { files, missing } = payload(entry);
  const { name, platform, title, licences } = entry;
  if (missing.length > 0) {
    throw new Stop(
      `${name} cannot be packed: prebuilds/${platform.tag} has no file like ${missing.join(', ')}. Build it first.`,
    );
  }
  const trial = entry.trial?.(prebuildsFolder) ?? '';
  if (trial !== '') throw new Stop(`${name} cannot be packed: ${trial}.`);
  fresh(folder);
  for (const path of files) copy(join(prebuildsFolder, path), join(folder, path), 0o644);
  for (const path of notices) copy(join(root, path), join(folder, path), 0o644);
  for (const path of licences === undefined ? [] : listFiles([licences])) {
    copy(join(root, path), join(folder, 'licenses', relative(licences, path)), 0o644);
  }
  writeFileSync(join(folder, 'README.md'), readme(name, platform.tag, title));
  const elf = platform.os === 'linux' ? files.filter((path) => /\.node$|\.so(?:\.|$)/.test(path)) : [];
  finish(folder, {
    name,
    version: own.version,
    description: `${own.name} for ${platform.tag}: ${title}.`,
    license: own.license,
    author: own.author,
    ...repository(),
    type: 'commonjs',
    engines: own.engines,
    os: [platform.os],
    cpu: [platform.cpu],
    ...(platform.libc === undefined ? {} : { libc: [platform.libc] }),
    preferUnplugged: true,
    ...(elf.length === 0 ? {} : { config: floors(elf.map((path) => join(folder, path))) }),
    publishConfig: { access: 'public' },
  });
}

/** Fingerprint of all that a package is made of, without laying it out. */
export function inputsOf(entry) {
  const left = own.files.filter((name) => name.startsWith('!')).map((name) => join(name.slice(1)));
  const sources =
    entry.kind === undefined
      ? ['README.md', 'LICENSE', ...own.files.filter((name) => !name.startsWith('!'))]
      : [...notices, `prebuilds/${entry.platform.tag}`, ...(entry.licences === undefined ? [] : [entry.licences])];
  const files = listFiles(['package.json', 'scripts/package', ...sources], (path) => !left.includes(path));
  return fingerprint(files, { name: entry.name, ...repository() });
}

/** What is there for a package: `files`, and the `missing` patterns of what it needs. */
export function payload({ needs, may }) {
  const all = listFiles([`prebuilds/${prebuildsFolder.slice(join(root, 'prebuilds').length + 1)}`]).map((path) =>
    path.split('/').slice(2).join('/'),
  );
  const files = all.filter((path) => [...needs, ...may].some((pattern) => pattern.test(path)));
  return { files, missing: needs.filter((pattern) => !files.some((path) => pattern.test(path))).map(String) };
}

/** The oldest C and C++ libraries that the files run with; the loader reads them before it loads any (lib/native/libraries.ts). */
function floors(files) {
  return { glibc: ceiling(files, 'GLIBC'), glibcxx: ceiling(files, 'GLIBCXX') };
}

/** npm's provenance wants the repository that a package is built in. */
function repository() {
  const { GITHUB_REPOSITORY: name, GITHUB_SERVER_URL: server } = process.env;
  if (own.repository !== undefined || !name || !server) return {};
  return { repository: { type: 'git', url: `git+${server}/${name}.git` } };
}

function readme(name, tag, title) {
  const core = name === `@node-diffusion/${tag}`;
  const add = `npm install --save-optional ${name}@${own.version}`;
  const how = core
    ? `npm installs it with \`${own.name}\`.`
    : `Add it beside \`${own.name}\` as an optional dependency, so that the project installs on other systems too:\n\n    ${add}\n`;
  return `# ${name}\n\nThe native part of \`${own.name}\` for ${tag}: ${title}. ${how}\nIts version must be that of \`${own.name}\`.\n`;
}

function fresh(folder) {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
}

function copy(from, to, mode) {
  mkdirSync(dirname(to), { recursive: true });
  copyFileSync(from, to);
  chmodSync(to, mode);
}

function finish(folder, manifest) {
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
  if (!existsSync(join(folder, 'LICENSE'))) throw new Stop(`${manifest.name} has no LICENSE.`);
}
