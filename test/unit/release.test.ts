import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { platformPackages, platforms } from '../../scripts/package/table.mjs';
import { root } from '../support/child/run.js';

const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
const names = platformPackages.map(({ name }) => name);
const tarballOf = (name: string): string => `${name.replace('@', '').replace('/', '-')}-${version}.tgz`;

describe('the workflow of a release', () => {
  const text = readFileSync(join(root, '.github', 'workflows', 'packages.yml'), 'utf8');
  /** The jobs by name, as text. */
  const jobs = new Map(
    text
      .slice(text.indexOf('\njobs:\n') + 7)
      .split(/^ {2}(?=\w+:$)/m)
      .filter((job) => job !== '')
      .map((job) => [job.slice(0, job.indexOf(':')), job]),
  );
  const job = (name: string): string => jobs.get(name) ?? '';
  const entries = (name: string, field: string): string[] =>
    [...job(name).matchAll(new RegExp(`^ +- \\{.*\\b${field}: ([\\w-]+)`, 'gm'))].map(([, value = '']) => value);

  /** What `pack-all.mjs` is given in a job, for each entry of its matrix. */
  function packs(name: string): string[] {
    const [, given = ''] = /pack-all\.mjs (.+)/.exec(job(name)) ?? [];
    const backends = entries(name, 'backend');
    return entries(name, 'tag').flatMap((tag, i) =>
      given
        .replaceAll('${{ matrix.tag }}', tag)
        .replaceAll('${{ matrix.backend }}', backends[i] ?? '')
        .split(' '),
    );
  }

  it('packs every package of the table by its name', () => {
    const packed = [...packs('build'), ...packs('modules'), ...packs('cuda')];
    expect([...new Set(packed)].sort()).toEqual(['node-diffusion', ...names].sort());
    // A pack without names leaves out what is not built.
    expect([...text.matchAll(/pack-all\.mjs|pack:all/g)]).toHaveLength(3);
  });

  it('builds by the preset of the platform', () => {
    const { configurePresets } = JSON.parse(readFileSync(join(root, 'CMakePresets.json'), 'utf8')) as {
      configurePresets: { name: string }[];
    };
    const presets = configurePresets.map(({ name }) => name);
    expect(presets).toEqual(expect.arrayContaining(platforms.map(({ tag }) => tag)));
    for (const name of ['build', 'modules', 'cuda'])
      expect(job(name), name).toContain('build.mjs --preset ${{ matrix.tag }}');
  });

  it('publishes after every other job, linters among them, and tests the module with a software device', () => {
    const [, needs = ''] = /needs: \[(.*)\]/.exec(job('publish')) ?? [];
    expect(needs.split(', ').sort()).toEqual([...jobs.keys()].filter((name) => name !== 'publish').sort());
    expect(job('lint')).toContain('npm run check:package');
    expect(job('modules')).toContain('mesa-vulkan-drivers');
    expect(job('modules')).toContain('npm run test:${{ matrix.backend }}');
    expect(job('cuda')).toContain('npm run test:cuda');
  });

  it('unpacks no artifact over another: every platform has a tarball of the main package, and they come at once', () => {
    expect(text).toContain('actions/download-artifact');
    expect(text).not.toContain('merge-multiple');
  });
});

describe('publishing', () => {
  let folder: string;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'nd-publish-'));
    for (const name of ['node-diffusion', ...names]) place(join(tarballOf(name).slice(0, -4), tarballOf(name)));
    place(join('another platform', tarballOf('node-diffusion')));
  });

  afterAll(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  const script = join(root, 'scripts', 'publish.mjs');

  it('does every package of the table once, the main one last', () => {
    const said = execFileSync(process.execPath, [script, folder, '--dry-run'], { encoding: 'utf8' });
    const order = [...said.matchAll(/(\S+): .*\.tgz$/gm)].map(([, name]) => name);
    expect(order).toEqual([...names, 'node-diffusion']);
  });

  it('does nothing when one is missing or another is there, and names it', () => {
    const first = names[0] ?? '';
    const path = join(folder, tarballOf(first).slice(0, -4), tarballOf(first));
    rmSync(path);
    expect(refused()).toContain(`no tarball of ${first}`);
    writeFileSync(path, '');
    place('node-diffusion-linux-x64-0.0.1.tgz');
    expect(refused()).toContain('node-diffusion-linux-x64-0.0.1.tgz');
  });

  function refused(): string {
    const { status, stdout, stderr } = spawnSync(process.execPath, [script, folder, '--dry-run'], { encoding: 'utf8' });
    expect(status).not.toBe(0);
    expect(stdout).not.toContain('.tgz\n');
    return stderr + stdout;
  }

  function place(path: string): void {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), '');
  }
});
