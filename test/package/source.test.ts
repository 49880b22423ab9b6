import { existsSync, mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type LocalRegistry, startRegistry } from '../../scripts/package/registry.mjs';
import { root } from '../support/child/run.js';
import { Project } from './managers.js';
import { coreName, packAll } from './tarball.js';

/** What an error of the loader and docs/install.md tell people to install. */
const needed = ['cmake-js', 'node-addon-api', 'node-api-headers'];

interface Command {
  readonly file: string;
  readonly command: string;
}

describe('the installed package, built from source', () => {
  let base: string;
  let registry: LocalRegistry;
  let project: Project;

  beforeAll(async () => {
    // The engine's source as this checkout has it; without the variable it is downloaded.
    vi.stubEnv('SDCPP_SOURCE_DIR', join(root, 'native', 'vendor', 'stable-diffusion.cpp'));
    base = realpathSync(mkdtempSync(join(tmpdir(), 'nd-source-')));
    registry = await startRegistry(await packAll(['node-diffusion', coreName]), { further: needed });
    project = new Project(join(base, 'project'), 'npm', registry.url);
    await project.add('node-diffusion');
  });

  afterAll(async () => {
    vi.unstubAllEnvs();
    await registry.close();
    rmSync(base, { recursive: true, force: true });
  });

  const explore = ['explore', 'node-diffusion', '--', 'npm', 'run', 'build:native', '--'];
  const own = (): string => join(project.folder, 'node_modules', 'node-diffusion');

  it('says what is missing without the packages that it is built with', async () => {
    await expect(project.run(...explore)).rejects.toThrow(`npm install ${needed.join(' ')}`);
  });

  it('configures with the headers of Node-API where npm has put them, and compiles', async () => {
    await project.add(...needed);
    // npm puts them beside the package, and not below it.
    expect(existsSync(join(own(), 'node_modules'))).toBe(false);
    // The whole engine takes minutes; one small library shows that a compiler runs.
    await project.run(...explore, '--target', 'sd-thirdparty');
    const commands = JSON.parse(readFileSync(join(own(), 'build', 'compile_commands.json'), 'utf8')) as Command[];
    const addon = commands.find(({ file }) => file.endsWith(join('native', 'addon', 'addon.cpp')));
    const folders = [...(addon?.command ?? '').matchAll(/-(?:isystem ?|I)(\S+)/g)].map(([, folder = '']) => folder);
    const modules = join(project.folder, 'node_modules');
    const folderOf = (header: string): string[] => folders.filter((folder) => existsSync(join(folder, header)));
    expect(folderOf('napi.h')).toEqual([join(modules, 'node-addon-api')]);
    expect(folderOf('node_api.h')).toEqual([join(modules, 'node-api-headers', 'include')]);
    expect(existsSync(join(own(), 'build', 'stamps', 'native.json'))).toBe(true);
  });
});
