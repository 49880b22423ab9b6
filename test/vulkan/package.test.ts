import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { dynamicSection, sections } from '../../scripts/package/elf.mjs';
import { expectFloors, installBackend, librariesOf } from '../package/backend.js';
import { machinePaths } from '../package/binary.js';

/** Bytes of the tarball; it has 16.7 MB. */
const budget = 20e6;

let installed: Awaited<ReturnType<typeof installBackend>>;

beforeAll(async () => {
  installed = await installBackend('vulkan');
});

afterAll(() => installed.close());

it('its package, installed beside the main one, is found and makes the picture of the CPU backend', async () => {
  const { device, backends, width, difference } = await installed.picture();
  expect(device).toBe('Vulkan0');
  expect(width).toBe(64);
  const file = join(installed.folder, 'libggml-vulkan.so');
  expect(backends).toContainEqual(expect.objectContaining({ file, loaded: true }));
  // 0.5 to 1.1 on lavapipe for eight requests like this one; a picture of another seed is 28 away.
  expect(difference).toBeLessThan(3);
});

it('is one stripped module that needs what a driver brings, and beyond that what the core package needs', () => {
  const { folder, size } = installed;
  process.stdout.write(`package of Vulkan: ${(size / 1e6).toFixed(1)} MB packed\n`);
  expect(size).toBeLessThan(budget);
  expect(librariesOf(folder)).toEqual(['libggml-vulkan.so']);
  const file = join(folder, 'libggml-vulkan.so');
  const { needed, runpath, rpath } = dynamicSection(file);
  const known =
    /^(?:lib(?:c|m|stdc\+\+|gcc_s|vulkan)\.so\.\d|ld-linux[\w-]*\.so\.\d|libnode-diffusion-ggml-base-[\w.-]+\.so)$/;
  expect(needed).toContain('libvulkan.so.1');
  expect(needed.filter((library) => !known.test(library))).toEqual([]);
  expect([runpath, rpath]).toEqual([['$ORIGIN'], []]);
  expect(sections(file)).not.toContain('symtab');
  expect(machinePaths(file)).toEqual([]);
  expectFloors(folder);
});
