import { mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ceiling, compareVersions } from '../../scripts/package/elf.mjs';
import { startRegistry } from '../../scripts/package/registry.mjs';
import { runChild } from '../support/child/run.js';
import { expect } from 'vitest';
import { shipped } from './binary.js';
import { expectGood } from './consumer.js';
import { Project } from './managers.js';
import { coreName, packAll } from './tarball.js';

/** What the program of {@link installBackend} reports. */
export interface Made {
  readonly device: string;
  readonly backends: readonly { readonly file: string; readonly loaded: boolean; readonly reason: string }[];
  readonly width: number;
  /** Mean absolute difference to the picture of the CPU backend, 0 to 255. */
  readonly difference: number;
}

const program = `
  import { createRuntime } from 'node-diffusion';
  const [first, second] = [process.argv[2], 'cpu'].map(async (backend) => {
    const runtime = await createRuntime({ backend });
    const model = await runtime.loadModel();
    const { images } = await model.txt2img({ prompt: 'a red apple', width: 64, height: 64, steps: 1, cfgScale: 1, seed: 1 });
    const made = { backends: runtime.backends, device: runtime.device.name, width: images[0].width, data: images[0].data };
    await runtime.dispose();
    return made;
  });
  const [{ data, ...made }, reference] = [await first, await second];
  const sum = data.reduce((total, value, i) => total + Math.abs(value - reference.data[i]), 0);
  console.log(JSON.stringify({ ...made, difference: sum / data.length }));`;

/** Installs the main package and the one of a backend from their tarballs, without a network. */
export async function installBackend(kind: 'openvino' | 'vulkan') {
  const name = `${coreName}-${kind}`;
  const base = realpathSync(mkdtempSync(join(tmpdir(), `nd-${kind}-`)));
  const packed = await packAll(['node-diffusion', coreName, name]);
  const registry = await startRegistry(packed);
  const project = new Project(base, 'npm', registry.url);
  await project.add('node-diffusion', name);
  const script = project.write('use.mjs', program);
  return {
    /** Of the installed package of the backend. */
    folder: join(base, 'node_modules', name),
    /** Of its tarball, bytes. */
    size: packed.find((entry) => entry.name === name)?.size ?? Number.NaN,
    /** Makes the smallest picture on the backend and on the CPU; the program must end well and say nothing else. */
    async picture(): Promise<Made> {
      const end = await runChild(script, [kind], { cwd: base, env: { NODE_DIFFUSION_BINARY: '' }, limit: 600 });
      expectGood(end);
      return end.lines[0] as unknown as Made;
    },
    async close(): Promise<void> {
      await registry.close();
      rmSync(base, { recursive: true, force: true });
    },
  };
}

/** Shared libraries below the folder of a package, as paths relative to it. */
export function librariesOf(folder: string): string[] {
  const paths = readdirSync(folder, { recursive: true }).map(String);
  return paths.filter((path) => /\.so(?:\.|$)/.test(path)).sort();
}

/** The libraries of a package ask for no newer C and C++ library than is shipped, and `config` of its package.json says what they ask for. */
export function expectFloors(folder: string): void {
  const files = librariesOf(folder).map((path) => join(folder, path));
  const { config } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
    config: Readonly<Record<string, string>>;
  };
  for (const family of ['GLIBC', 'GLIBCXX'] as const) {
    const highest = ceiling(files, family);
    expect(compareVersions(highest, '0'), family).toBeGreaterThan(0);
    expect(compareVersions(highest, shipped[family]), `${family}_${highest}`).toBeLessThanOrEqual(0);
    expect(config[family.toLowerCase()]).toBe(highest);
  }
}
