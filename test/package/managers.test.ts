import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type LocalRegistry, startRegistry } from '../../scripts/package/registry.mjs';
import { backendPackages } from '../../scripts/package/table.mjs';
import { runChild, said } from '../support/child/run.js';
import { consumer, expectGood, runConsumer } from './consumer.js';
import { type Manager, Project } from './managers.js';
import { coreName, packAll } from './tarball.js';

const failing = `
  import { createRuntime } from 'node-diffusion';
  const error = await createRuntime().catch((error) => error);
  console.log(JSON.stringify({ code: error.code, message: error.message, hint: error.hint }));`;

/** A package that a person installs beside the main one. */
const backend = `${coreName}-vulkan`;

const finding = `
  const { createRuntime } = require('node-diffusion');
  createRuntime({ backend: 'cpu' }).then(async ({ backends }) => {
    console.log(JSON.stringify({ backends: backends.filter(({ file }) => file.includes('vulkan')) }));
  });`;

/** A tag of another platform, as lockfiles from elsewhere have it. */
const foreign = process.platform === 'darwin' ? 'linux-x64' : 'darwin-arm64';

describe('package managers', () => {
  let base: string;
  let registry: LocalRegistry;

  beforeAll(async () => {
    base = realpathSync(mkdtempSync(join(tmpdir(), 'nd-managers-')));
    // Of backends the registry then has packages whose module cannot be loaded.
    registry = await startRegistry(await packAll(['node-diffusion', coreName]));
  });

  afterAll(async () => {
    await registry.close();
    rmSync(base, { recursive: true, force: true });
  });

  const project = (name: string, manager: Manager): Project => new Project(join(base, name), manager, registry.url);

  it.each(['pnpm', 'yarn'] as const)('%s installs it without scripts, and a picture is made', async (manager) => {
    const { folder, ...made } = await installed(manager);
    expect(made.binary.startsWith(folder)).toBe(true);
    expect(made.sum).toBeGreaterThan(0);
  });

  it("Yarn's Plug'n'Play unpacks what cannot be loaded from an archive", async () => {
    const pnp = project('pnp', 'yarn-pnp');
    await pnp.add('node-diffusion');
    const script = pnp.write('make.cjs', consumer.commonjs);
    const [made] = await runConsumer(script, pnp.folder, {
      nodeOptions: ['--require', join(pnp.folder, '.pnp.cjs')],
      // sharp finds its libraries under this linker only where they come from npm's own registry.
      args: ['nowhere'],
    });
    expect(made?.binary).toContain('unplugged');
    expect(existsSync(join(pnp.folder, 'node_modules'))).toBe(false);
  });

  // Packages of backends exist for these.
  describe.runIf(backendPackages.includes(backend))('find a package of a backend that is installed beside it', () => {
    /** The module that is no library was found, tried and told of. */
    async function finds(script: string, cwd: string, nodeOptions?: readonly string[]): Promise<void> {
      const options = nodeOptions === undefined ? {} : { nodeOptions };
      const end = await runChild(script, [], { cwd, env: { NODE_DIFFUSION_BINARY: '' }, ...options });
      expectGood(end);
      const found = said(end, 'backends') as { file: string; loaded: boolean; reason: string }[];
      expect(found).toEqual([
        {
          file: expect.stringContaining('libggml-vulkan.so') as string,
          loaded: false,
          reason: expect.any(String) as string,
        },
      ]);
      expect(found[0]?.reason).not.toBe('');
    }

    it('with pnpm, in a workspace where no package sees more than it asks for', async () => {
      const own = project('pnpm-strict', 'pnpm');
      own.write('.npmrc', 'hoist=false\n');
      own.write('pnpm-workspace.yaml', 'packages:\n  - app\n');
      mkdirSync(join(own.folder, 'app'));
      own.write('app/package.json', '{ "name": "app", "version": "1.0.0", "private": true }\n');
      const flags = ['--ignore-scripts', '--store-dir', join(own.folder, '.pnpm-store')];
      await own.run('--filter', 'app', 'add', 'node-diffusion', backend, ...flags);
      expect(existsSync(join(own.folder, 'node_modules', '.pnpm', 'node_modules'))).toBe(false);
      await finds(own.write('app/find.cjs', finding), join(own.folder, 'app'));
    });

    it("with Yarn's Plug'n'Play, in a workspace", async () => {
      const own = project('pnp-workspace', 'yarn-pnp');
      own.write('package.json', '{ "name": "whole", "private": true, "workspaces": ["app"] }\n');
      mkdirSync(join(own.folder, 'app'));
      own.write('app/package.json', '{ "name": "app", "version": "1.0.0", "private": true }\n');
      await own.run('workspace', 'app', 'add', 'node-diffusion', backend);
      await finds(own.write('app/find.cjs', finding), join(own.folder, 'app'), [
        '--require',
        join(own.folder, '.pnp.cjs'),
      ]);
    });
  });

  async function installed(manager: Manager): Promise<{ folder: string; binary: string; sum: number }> {
    const own = project(manager, manager);
    await own.add('node-diffusion');
    const [made] = await runConsumer(own.write('make.mjs', consumer.esm), own.folder);
    if (made === undefined) throw new Error('Nothing was reported.');
    return { folder: own.folder, ...made };
  }

  const scopeOf = ({ folder }: Project): string => join(folder, 'node_modules', '@node-diffusion');
  const quiet = ['--ignore-scripts', '--no-audit', '--no-fund', '--no-update-notifier'];

  /** Runs the program, which must fail; then the command that the error names, which must mend it. */
  async function mended(own: Project, script: string, expected: RegExp, more: readonly string[] = []): Promise<void> {
    const end = await runChild(script, [], { cwd: own.folder, env: { NODE_DIFFUSION_BINARY: '' } });
    expectGood(end);
    expect(said(end, 'code')).toBe('ERR_BACKEND_UNAVAILABLE');
    expect(said(end, 'message')).toContain(coreName);
    const hint = String(said(end, 'hint'));
    expect(hint).toMatch(expected);
    const [, program, command = ''] = /: (npm|yarn) ([\w@/:. =^-]+)$/.exec(hint) ?? [];
    expect(program, hint).toBe(own.manager);
    await own.run(...command.split(' '), ...more);
    const binary = join(scopeOf(own), coreName.split('/')[1] ?? '', 'node-diffusion.node');
    expect(existsSync(binary), command).toBe(true);
    const good = await runChild(script, [], { cwd: own.folder, env: { NODE_DIFFUSION_BINARY: '' } });
    expect(said(good, 'code')).toBeUndefined();
  }

  it('Yarn lays it out again by the command of the error', async () => {
    const own = project('yarn-again', 'yarn');
    await own.add('node-diffusion');
    const script = own.write('fail.mjs', failing);
    rmSync(scopeOf(own), { recursive: true });
    await mended(own, script, /were left out/);
    renameSync(join(scopeOf(own), coreName.split('/')[1] ?? ''), join(scopeOf(own), foreign));
    await mended(own, script, /comes from another system/);
  });

  describe('npm', () => {
    let own: Project;
    let script: string;

    beforeAll(async () => {
      own = project('npm', 'npm');
      await own.add('node-diffusion');
      script = own.write('fail.mjs', failing);
    });

    const mends = (expected: RegExp) => mended(own, script, expected, quiet);
    const scope = (): string => scopeOf(own);

    it('without optional dependencies, then with the command of the error', async () => {
      rmSync(scope(), { recursive: true });
      await mends(/were left out/);
    });

    it('with a lockfile that was made on another system, then with the command of the error', async () => {
      const file = join(own.folder, 'package-lock.json');
      const lock = JSON.parse(readFileSync(file, 'utf8')) as { packages: Record<string, unknown> };
      // What npm leaves in a lockfile that it writes where node_modules of one system was there before (npm/cli#4828).
      for (const path of Object.keys(lock.packages)) {
        if (path.startsWith('node_modules/@node-diffusion/') && !path.endsWith(foreign)) delete lock.packages[path];
      }
      writeFileSync(file, JSON.stringify(lock));
      rmSync(scope(), { recursive: true });
      await mends(/written on another system/);
    });

    it('with a node_modules that was copied from another system, then with the command of the error', async () => {
      renameSync(join(scope(), coreName.split('/')[1] ?? ''), join(scope(), foreign));
      await mends(/comes from another system/);
    });

    it('without a lockfile, with a node_modules from another system or without, then with the command of the error', async () => {
      rmSync(join(own.folder, 'package-lock.json'));
      renameSync(join(scope(), coreName.split('/')[1] ?? ''), join(scope(), foreign));
      await mends(/comes from another system.*--include=optional/);
      rmSync(join(own.folder, 'package-lock.json'), { force: true });
      rmSync(scope(), { recursive: true });
      await mends(/were left out/);
    });

    it('refuses a platform package of another version, with the reason', async () => {
      const manifest = join(scope(), coreName.split('/')[1] ?? '', 'package.json');
      cpSync(manifest, `${manifest}.good`);
      writeFileSync(manifest, readFileSync(manifest, 'utf8').replace(/"version": "[^"]*"/, '"version": "0.0.9"'));
      const end = await runChild(script, [], { cwd: own.folder, env: { NODE_DIFFUSION_BINARY: '' } });
      expect(said(end, 'message')).toMatch(/is version 0\.0\.9, this package is/);
      renameSync(`${manifest}.good`, manifest);
    });
  });
});
