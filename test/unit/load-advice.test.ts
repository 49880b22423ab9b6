import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { packageRoot } from '../../lib/here.js';
import { unpackPattern } from '../../lib/native/advice.js';
import { installCommand, reinstallCommand } from '../../lib/native/commands.js';
import { moduleAdvice } from '../../lib/native/moduleAdvice.js';
import { failure, load, name, packageWith, place, tag } from '../support/loader.js';

describe('the advice when nothing loads', () => {
  /** A project that has the package in node_modules; `files` are the project's. */
  function project(files: Readonly<Record<string, string>> = {}): string {
    const folder = mkdtempSync(join(tmpdir(), 'node-diffusion-project-'));
    for (const [file, text] of Object.entries(files)) place(folder, file, text);
    const manifest = 'node_modules/node-diffusion/package.json';
    return dirname(place(folder, manifest, JSON.stringify({ name: 'node-diffusion', version: '1.2.3' })));
  }

  const lock = (...names: string[]): string =>
    JSON.stringify({ packages: Object.fromEntries(names.map((one) => [`node_modules/${one}`, {}])) });

  it('names a lockfile of another system, and adds what it lacks', () => {
    const root = project({ 'package-lock.json': lock('node-diffusion', '@node-diffusion/darwin-arm64') });
    const { hint } = failure({ root });
    expect(hint).toContain(join(root, '../../package-lock.json'));
    expect(hint).toContain('written on another system');
    expect(hint).toMatch(/npm install --save-optional @node-diffusion\/linux-x64@1\.2\.3$/);
  });

  it('speaks the language of the package manager', () => {
    expect(failure({ root: project({ 'pnpm-lock.yaml': "'@node-diffusion/darwin-arm64@1.2.3':" }) }).hint).toContain(
      'pnpm add --save-optional @node-diffusion/linux-x64@1.2.3',
    );
    expect(failure({ root: project({ 'yarn.lock': '"node-diffusion@1":' }) }).hint).toContain(
      'yarn add --optional @node-diffusion/linux-x64@1.2.3',
    );
    expect(failure({ root: project({ 'bun.lock': '"x": ["node-diffusion@1.2.3"]' }) }).hint).toContain(
      'bun add --optional @node-diffusion/linux-x64@1.2.3',
    );
  });

  it.each([
    ['yarn.lock', '__metadata:\n  version: 8\n\n"@node-diffusion/linux-x64@npm:1.2.3":\n', 'yarn install'],
    ['yarn.lock', '# yarn lockfile v1\n\n"@node-diffusion/linux-x64@1.2.3":\n', 'yarn install --force'],
    ['pnpm-lock.yaml', "  '@node-diffusion/linux-x64@1.2.3':\n", 'pnpm install --force'],
    ['pnpm-lock.yaml', '  /@node-diffusion/linux-x64/1.2.3:\n', 'pnpm install --force'],
    ['bun.lock', '"@node-diffusion/linux-x64": ["@node-diffusion/linux-x64@1.2.3"]', 'bun install --force'],
    ['bun.lockb', '\0', 'bun install --force'],
  ])('installs again from %s %j by "%s"', (file, text, command) => {
    const { hint } = failure({ root: project({ [file]: text }) });
    expect(hint).toMatch(/were left out\. Install it: /);
    expect(hint?.split('Install it: ')[1]).toBe(command);
  });

  it.each([
    [{}, 'npm install --include=optional node-diffusion@1.2.3'],
    [{ 'package.json': '{"packageManager":"npm@11.0.0"}' }, 'npm install --include=optional node-diffusion@1.2.3'],
    [{ 'package.json': '{ "packageManager": "pnpm@10.1.0+sha512.abc" }' }, 'pnpm add node-diffusion@1.2.3'],
    [{ 'package.json': '{"packageManager":"yarn@4.18.1"}' }, 'yarn add node-diffusion@1.2.3'],
    [{ 'package.json': '{"packageManager":"bun@1.3.0"}' }, 'bun add node-diffusion@1.2.3'],
    [{ 'node_modules/.modules.yaml': '' }, 'pnpm add node-diffusion@1.2.3'],
    [{ 'node_modules/.yarn-state.yml': '' }, 'yarn add node-diffusion@1.2.3'],
  ])('without a lockfile (%o) by "%s"', (files, command) => {
    const root = project(files);
    expect(failure({ root }).hint?.split('Install it: ')[1]).toBe(command);
    // Nor does "npm ci" run there for the node_modules of another system.
    place(root, '../@node-diffusion/darwin-arm64/package.json', '{}');
    expect(failure({ root }).hint?.split('Install here: ')[1]).toBe(command);
  });

  it('finds the package in a lockfile that has it below another one, and in one of npm 6', () => {
    const below = lock('node-diffusion', 'app/node_modules/@node-diffusion/linux-x64');
    expect(failure({ root: project({ 'package-lock.json': below }) }).hint).toContain(
      'optional dependencies were left out',
    );
    expect(failure({ root: project({ 'package-lock.json': '{"dependencies":{}}' }) }).hint).toContain(
      'optional dependencies were left out',
    );
    const alike = lock('node-diffusion', '@node-diffusion/linux-x64-vulkan', 'not@node-diffusion/linux-x64');
    expect(failure({ root: project({ 'package-lock.json': alike }) }).hint).toContain('another system');
  });

  it('adds backends in this version, as optional dependencies, by the manager of the project', () => {
    const vulkan = '@node-diffusion/linux-x64-vulkan';
    const added = (files: Readonly<Record<string, string>>) => installCommand(vulkan, project(files));
    expect(added({ 'package-lock.json': lock() })).toBe(`npm install --save-optional ${vulkan}@1.2.3`);
    expect(added({ 'pnpm-lock.yaml': '' })).toBe(`pnpm add --save-optional ${vulkan}@1.2.3`);
    expect(added({ 'yarn.lock': '__metadata:\n' })).toBe(`yarn add --optional ${vulkan}@1.2.3`);
    expect(added({ 'yarn.lock': '' })).toBe(`yarn add --optional ${vulkan}@1.2.3`);
    expect(added({ 'bun.lock': '' })).toBe(`bun add --optional ${vulkan}@1.2.3`);
    expect(reinstallCommand(vulkan, project())).toBe('npm install --include=optional node-diffusion@1.2.3');
  });

  it('knows a node_modules that was copied from another system', () => {
    const root = project({
      'package-lock.json': lock('node-diffusion', '@node-diffusion/linux-x64', '@node-diffusion/darwin-arm64'),
      'node_modules/@node-diffusion/darwin-arm64/package.json': '{}',
      'node_modules/@node-diffusion/linux-x64-vulkan/package.json': '{}',
    });
    expect(failure({ root }).hint).toBe(
      'node_modules comes from another system: it holds the package for darwin-arm64, this is linux-x64. Install here: npm ci',
    );
  });

  it('knows optional dependencies that were left out', () => {
    const root = project({ 'package-lock.json': lock('node-diffusion', '@node-diffusion/linux-x64') });
    expect(failure({ root }).hint).toMatch(
      /left out. Install it: npm install --include=optional node-diffusion@1\.2\.3$/,
    );
  });

  it('tells how to unpack the archive of an Electron application', () => {
    const app = mkdtempSync(join(tmpdir(), 'node-diffusion-app-'));
    const root = join(app, 'app.asar/node_modules/node-diffusion');
    place(root, 'package.json', JSON.stringify({ name: 'node-diffusion', version: '1.2.3' }));
    const manifest = JSON.stringify({ version: '1.2.3' });
    place(app, `app.asar/node_modules/@node-diffusion/${tag}/package.json`, manifest);
    place(app, `app.asar/node_modules/@node-diffusion/${tag}/${name}`);
    const error = failure({ root });
    expect(error.message).toContain('app.asar.unpacked');
    expect(error.message).toContain('inside an .asar archive');
    // In double quotes, which Windows knows too; and what docs/electron.md says, so that nobody has to choose.
    expect(error.hint).toContain(`npm pkg set "build.asarUnpack[]=${unpackPattern}"`);
    expect(readFileSync(join(packageRoot, 'docs/electron.md'), 'utf8')).toContain(`"asarUnpack": ["${unpackPattern}"]`);
    // Once it is unpacked, it loads from there.
    const path = place(app, `app.asar.unpacked/node_modules/@node-diffusion/${tag}/${name}`);
    expect(load({ root }).path).toBe(path);
  });

  it('names the glibc that is needed and the one that is there', () => {
    const root = packageWith(join('build', 'Release', name));
    const problem = "/lib/libc.so.6: version `GLIBC_2.34' not found (required by node-diffusion.node)";
    const { hint } = failure(
      { root, libraries: { glibc: '2.31' } },
      { [join(root, 'build', 'Release', name)]: problem },
    );
    expect(hint).toContain('needs glibc 2.34, this system has glibc 2.31');
    expect(hint).toContain('build:native');
  });

  it.each([
    'libnode-diffusion-ggml-base.so: cannot open shared object file: No such file or directory',
    'libggml-cpu.so.0: cannot open shared object file: No such file or directory',
    'dlopen(x.node, 0x0001): Library not loaded: @rpath/libnode-diffusion-ggml.dylib',
  ])('does not blame the system for a library of ours: %s', (problem) => {
    const root = packageWith(join('build', 'Release', name));
    const { hint } = failure({ root }, { [join(root, 'build', 'Release', name)]: problem });
    expect(hint).toContain('Keep the whole folder of the package together');
    expect(hint).toContain(unpackPattern);
    expect(hint).not.toContain('your system');
    expect(moduleAdvice(problem, undefined)).toBe(hint);
  });

  it('tells of musl, and of a mount without execution', () => {
    expect(failure({ root: packageWith(), tag: 'linuxmusl-x64' }).hint).toMatch(/musl.*Debian image/);
    const root = packageWith(join('build', 'Release', name));
    const problem = 'x.node: failed to map segment from shared object';
    expect(failure({ root }, { [join(root, 'build', 'Release', name)]: problem }).hint).toContain('noexec');
  });
});
