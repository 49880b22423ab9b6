import { readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { dynamicSection, sections } from '../../scripts/package/elf.mjs';
import { expectFloors, installBackend, librariesOf } from '../package/backend.js';
import { machinePaths } from '../package/binary.js';

/** Bytes of the tarball; it has 47.8 MB. */
const budget = 52e6;
const module = 'libggml-openvino.so';
/** glibc before 2.34 had two of these apart, and OpenVINO is built for it. */
const system = /^(?:lib(?:c|m|stdc\+\+|gcc_s|dl|pthread)\.so\.\d|ld-linux[\w-]*\.so\.\d)$/;
/** What the plugins of devices take from their drivers. */
const drivers = /^libOpenCL\.so\.1$/;

let installed: Awaited<ReturnType<typeof installBackend>>;

beforeAll(async () => {
  installed = await installBackend('openvino');
});

afterAll(() => installed.close());

it('its package, installed beside the main one, is found and makes the picture of the CPU backend', async () => {
  const { backends, width, difference } = await installed.picture();
  expect(width).toBe(64);
  const file = join(installed.folder, module);
  expect(backends).toContainEqual(expect.objectContaining({ file, loaded: true }));
  expect(difference).toBeLessThan(2);
});

it('has our module, stripped, and the libraries of the run time with their licences', () => {
  const { folder, size } = installed;
  process.stdout.write(`package of OpenVINO: ${(size / 1e6).toFixed(1)} MB packed\n`);
  expect(size).toBeLessThan(budget);
  const libraries = librariesOf(folder);
  expect(libraries.filter((path) => !path.startsWith('openvino/'))).toEqual([module]);
  expect(libraries.filter((path) => /^openvino\/libopenvino\.so\.\d+$/.test(path))).toHaveLength(1);
  expect(libraries).toContain('openvino/libopenvino_intel_cpu_plugin.so');
  expect(sections(join(folder, module))).not.toContain('symtab');
  expect(machinePaths(join(folder, module))).toEqual([]);
  expectFloors(folder);
  // With those of what OpenVINO is made of, in a folder of their own.
  const licences = readdirSync(join(folder, 'licenses'), { recursive: true }).map(String);
  expect(licences).toEqual(expect.arrayContaining(['LICENSE', 'licensing/runtime-third-party-programs.txt']));
});

it('needs the core package, what lies in it, the C and C++ run time, and for GPUs their driver; it looks nowhere else', () => {
  const { folder } = installed;
  const libraries = librariesOf(folder);
  const own = new Set(libraries.map((path) => basename(path)));
  const core = /^libnode-diffusion-ggml-[\w.-]+\.so$/;
  for (const path of libraries) {
    const { needed, runpath, rpath } = dynamicSection(join(folder, path));
    const others = needed.filter((name) => !system.test(name) && !own.has(name));
    const allowed = path === module ? core : drivers;
    expect(
      others.filter((name) => !allowed.test(name)),
      path,
    ).toEqual([]);
    const places = [...runpath, ...rpath];
    expect(places, path).toEqual([path === module ? '$ORIGIN:$ORIGIN/openvino' : '$ORIGIN']);
  }
});
