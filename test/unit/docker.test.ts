import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { platformPackages } from '../../scripts/package/table.mjs';
import { root } from '../support/child/run.js';

const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
const text = (path: string): string => readFileSync(join(root, path), 'utf8');

/** Patterns of shells, Docker and Go alike: `*` and classes of characters, within one name. */
function matches(name: string, pattern: string): boolean {
  return new RegExp(`^${pattern.replaceAll('.', '\\.').replaceAll('*', '[^/]*')}$`).test(name);
}

/** The tarballs of a release as `pack:all` names them, and what else lies there. */
const folder = [
  'index.json',
  ...['node-diffusion', ...platformPackages.map(({ name }) => name)].map(
    (name) => `${name.replace('@', '').replace('/', '-')}-${version}.tgz`,
  ),
];

/** What Docker sends of a flat context: the last rule that fits a file decides. */
function sent(rules: string): string[] {
  const lines = rules
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
  return folder.filter((file) =>
    lines.reduce((kept, line) => {
      const back = line.startsWith('!');
      return matches(file, back ? line.slice(1) : line) ? back : kept;
    }, true),
  );
}

const images = readdirSync(join(root, 'docker')).filter((name) => name.endsWith('.Dockerfile'));

it('there are images for the CPU and for CUDA', () => {
  expect(images).toEqual(['cpu.Dockerfile', 'cuda.Dockerfile']);
});

describe.each(images)('docker/%s', (name) => {
  const lines = text(`docker/${name}`);
  const [, file, context] = /^#\s+docker build -f (\S+) .*?(\S+)$/m.exec(lines) ?? [];
  // BuildKit prefers the ignore file of the Dockerfile to that of the context.
  const kept = sent(text(`docker/${name}.dockerignore`));

  it('is built by the documented command, from the folder of the tarballs', () => {
    expect(file).toBe(`docker/${name}`);
    // scripts/pack-all.mjs writes there.
    expect(context).toBe('build/tarballs');
  });

  it('copies what its ignore file leaves, and installs exactly one tarball for each pattern', () => {
    const copies = [...lines.matchAll(/^COPY (?!--from)(\S+) (\S+)$/gm)];
    expect(copies).toHaveLength(1);
    const [, source = '', target = ''] = copies[0] ?? [];
    // COPY fails where nothing fits.
    const copied = kept.filter((entry) => matches(entry, source));
    const patterns = [...lines.matchAll(/\.\/(tarballs\/\S+\.tgz)/g)].map(([, pattern = '']) => pattern);
    expect(patterns.length).toBeGreaterThan(1);
    const installed = patterns.map((pattern) => copied.filter((entry) => matches(target + entry, pattern)));
    expect(installed.map((found) => found.length)).toEqual(patterns.map(() => 1));
    // Nothing is sent that is not installed.
    expect(installed.flat().sort()).toEqual([...kept].sort());
    expect(installed.flat()).toContain(`node-diffusion-${version}.tgz`);
    expect(installed.flat()).toContain(`node-diffusion-linux-x64-${version}.tgz`);
  });
});

it('the guide has a command for each image', () => {
  const guides = text('docs/docker.md');
  for (const name of images) expect(guides).toContain(`docker build -f docker/${name} `);
});
