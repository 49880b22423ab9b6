import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ceiling, compareVersions, dynamicSection, sections } from '../../scripts/package/elf.mjs';
import { type LocalRegistry, startRegistry } from '../../scripts/package/registry.mjs';
import { expectGood } from '../package/consumer.js';
import { Project } from '../package/managers.js';
import { coreName, packAll } from '../package/tarball.js';
import { runChild, said } from '../support/child/run.js';

const name = `${coreName}-vulkan`;

let base: string;
let registry: LocalRegistry;

beforeAll(async () => {
  base = realpathSync(mkdtempSync(join(tmpdir(), 'nd-vulkan-')));
  const packed = await packAll();
  const { size } = packed.find((entry) => entry.name === name) ?? {};
  if (size === undefined) throw new Error(`${name} was not packed: node scripts/build.mjs -DND_VULKAN=ON`);
  process.stdout.write(`${name}: ${(size / 1e6).toFixed(1)} MB packed\n`);
  registry = await startRegistry(packed);
});

afterAll(async () => {
  await registry.close();
  rmSync(base, { recursive: true, force: true });
});

it('its package, installed beside the main one, is found and makes a picture', async () => {
  const project = new Project(base, 'npm', registry.url);
  await project.add('node-diffusion', name);
  const script = `
    import { createRuntime } from 'node-diffusion';
    const runtime = await createRuntime({ backend: 'vulkan' });
    const model = await runtime.loadModel();
    const { images } = await model.txt2img({ prompt: 'a red apple', width: 64, height: 64, steps: 1, cfgScale: 1, seed: 1 });
    console.log(JSON.stringify({ backends: runtime.backends, device: runtime.device.name, width: images[0].width }));
    await runtime.dispose();`;
  const env = { NODE_DIFFUSION_BINARY: '' };
  const end = await runChild(project.write('use.mjs', script), [], { cwd: base, env, limit: 600 });
  expectGood(end);
  expect(said(end, 'device')).toBe('Vulkan0');
  expect(said(end, 'width')).toBe(64);
  const file = join(base, 'node_modules', name, 'libggml-vulkan.so');
  expect(said(end, 'backends')).toContainEqual(expect.objectContaining({ file, loaded: true }));

  // What a driver brings, and beyond that what the core package needs.
  const { needed, runpath } = dynamicSection(file);
  const known = /^(?:lib(?:c|m|stdc\+\+|gcc_s|vulkan)\.so\.\d|ld-linux[\w-]*\.so\.\d|libnode-diffusion-ggml-base\.so)$/;
  expect(needed).toContain('libvulkan.so.1');
  expect(needed.filter((library) => !known.test(library))).toEqual([]);
  expect(runpath).toEqual(['$ORIGIN']);
  expect(sections(file)).not.toContain('symtab');
  const core = join(base, 'node_modules', coreName, 'node-diffusion.node');
  for (const family of ['GLIBC', 'GLIBCXX'] as const)
    expect(compareVersions(ceiling([file], family), ceiling([core], family)), family).toBeLessThanOrEqual(0);
});
