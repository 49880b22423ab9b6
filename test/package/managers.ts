import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, realpathSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { withoutNpm } from '../../scripts/package/npm.mjs';
import { root } from '../support/child/run.js';

export type Manager = 'npm' | 'pnpm' | 'yarn' | 'yarn-pnp';

const programs: Readonly<Record<Manager, readonly string[]>> = {
  npm: ['npm'],
  pnpm: [process.execPath, join(root, 'node_modules', 'pnpm', 'bin', 'pnpm.cjs')],
  yarn: [process.execPath, join(root, 'node_modules', '@yarnpkg', 'cli-dist', 'bin', 'yarn.js')],
  'yarn-pnp': [process.execPath, join(root, 'node_modules', '@yarnpkg', 'cli-dist', 'bin', 'yarn.js')],
};

/** The script that the command npm is, which is a link to it. */
function npmProgram(): string {
  const folders = (process.env.PATH ?? '').split(delimiter);
  const found = folders.map((folder) => join(folder, 'npm')).find((path) => existsSync(path));
  if (found === undefined) throw new Error('npm is not on PATH.');
  return realpathSync(found);
}

/** A project of one package manager, which knows one registry and has empty caches. */
export class Project {
  readonly folder: string;
  readonly manager: Manager;
  readonly #registry: string;

  readonly #node: string | undefined;

  /** `node`: another Node than npm's own that npm runs on, absolute. */
  constructor(folder: string, manager: Manager, registry: string, node?: string) {
    this.folder = folder;
    this.#node = node;
    this.manager = manager;
    this.#registry = registry;
    mkdirSync(folder, { recursive: true });
    this.write('package.json', '{ "name": "consumer", "version": "1.0.0", "private": true }\n');
    const linker = manager === 'yarn-pnp' ? 'pnp' : 'node-modules';
    const settings = {
      ...{ npmRegistryServer: registry, unsafeHttpWhitelist: ['127.0.0.1'], nodeLinker: linker, enableScripts: false },
      ...{ enableTelemetry: false, enableImmutableInstalls: false, compressionLevel: 0, npmMinimalAgeGate: 0 },
      globalFolder: join(folder, '.yarn-global'),
    };
    if (manager.startsWith('yarn')) this.write('.yarnrc.yml', JSON.stringify(settings));
  }

  write(name: string, text: string): string {
    const path = join(this.folder, name);
    writeFileSync(path, text);
    return path;
  }

  /** Installs packages by name, without scripts. */
  add(...packages: string[]): Promise<string> {
    const verb = this.manager === 'npm' ? 'install' : 'add';
    const quiet = {
      npm: ['--ignore-scripts', '--no-audit', '--no-fund', '--no-update-notifier'],
      pnpm: ['--ignore-scripts', '--store-dir', join(this.folder, '.pnpm-store')],
    };
    const flags = this.manager === 'npm' || this.manager === 'pnpm' ? quiet[this.manager] : [];
    return this.run(verb, ...packages, ...flags);
  }

  /** Runs the package manager; resolves with its output, rejects with it. */
  run(...args: string[]): Promise<string> {
    const [program = '', ...before] = this.#node === undefined ? programs[this.manager] : [this.#node, npmProgram()];
    return new Promise((resolve, reject) => {
      const options = { cwd: this.folder, env: this.#environment(), maxBuffer: 1 << 26 };
      execFile(program, [...before, ...args], options, (error, stdout, stderr) => {
        if (error === null) resolve(stdout + stderr);
        else reject(new Error(`${this.manager} ${args.join(' ')}: ${error.message}\n${stdout}${stderr}`));
      });
    });
  }

  #environment(): NodeJS.ProcessEnv {
    const nowhere = 'http://127.0.0.1:9';
    return {
      ...withoutNpm(),
      // Whoever would reach beyond the registry finds nothing.
      ...{ HTTP_PROXY: nowhere, HTTPS_PROXY: nowhere, http_proxy: nowhere, https_proxy: nowhere },
      ...{ NO_PROXY: '127.0.0.1', no_proxy: '127.0.0.1' },
      npm_config_registry: this.#registry,
      npm_config_cache: join(this.folder, '.npm-cache'),
      npm_config_userconfig: join(this.folder, '.npmrc-of-nobody'),
      // An empty home: settings and caches of this machine must not help.
      ...{ HOME: join(this.folder, '.home'), XDG_CACHE_HOME: join(this.folder, '.home', '.cache') },
      ...{ XDG_DATA_HOME: join(this.folder, '.home', 'data'), XDG_STATE_HOME: join(this.folder, '.home', 'state') },
      YARN_IGNORE_PATH: '1',
    };
  }
}
