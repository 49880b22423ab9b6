import { appendFileSync, existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { librariesLine, usableLine } from '../../lib/isolation/probeLines.js';
import { knownCrashes, probeBackends } from '../../lib/sdk/probes.js';

/** An addon that loads and has no backend of its own. */
const addon = 'module.exports = { loadModel() {}, loadBackends: () => [] };';
/** In place of the program that tries a module: the module's text says how the process ends. */
const child = "eval(require('node:fs').readFileSync(process.argv[3], 'utf8'));";

describe('probeBackends', () => {
  let folder: string;
  let cache: string;
  let binary: string;
  let entry: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'nd-probes-'));
    cache = join(folder, 'cache');
    vi.stubEnv('NODE_DIFFUSION_CACHE', cache);
    binary = write('addon.cjs', addon);
    entry = write('child.cjs', child);
  });

  afterEach(() => {
    vi.unstubAllEnvs();
  });

  function write(name: string, text: string): string {
    const path = join(folder, name);
    writeFileSync(path, text);
    return path;
  }

  const probe = (limit = 20_000): ReturnType<typeof probeBackends> => probeBackends({ binary, entry, limit });

  it('remembers the modules that end their process, and how', async () => {
    const killed = write('libggml-vulkan.so', "process.kill(process.pid, 'SIGSEGV'); setInterval(() => {}, 1000);");
    const exits = write('libggml-cuda.so', 'process.exit(3);');
    write('libggml-openvino.so', '');
    write('libggml-cpu-haswell.so', 'process.exit(9);');
    expect(await probe()).toEqual({ problems: [], openvino: null });
    const known = knownCrashes();
    expect([...known.keys()].sort()).toEqual([exits, killed].sort());
    expect(known.get(killed)).toMatch(/ended the process when doctor tried it on \d{4}-\d\d-\d\d \(SIGSEGV\)/);
    expect(known.get(exits)).toContain('exit code 3');
  });

  it('hands over what OpenVINO told in that process, and lives when a driver ends it then', async () => {
    const told = {
      version: '1.2',
      devices: [{ name: 'GPU', description: 'A GPU', precisions: ['FP16', 'EXPORT_IMPORT'] }],
    };
    const line = librariesLine + JSON.stringify({ openvino: JSON.stringify(told) });
    const says = (...lines: string[]): string => `console.log(${JSON.stringify(lines.join('\n'))});`;
    const file = write('libggml-openvino.so', says('a driver greets', usableLine, line));
    expect(await probe()).toEqual({
      problems: [],
      openvino: { version: '1.2', devices: [{ name: 'GPU', description: 'A GPU', precisions: ['FP16'] }] },
    });
    const dies = "process.kill(process.pid, 'SIGKILL'); setInterval(() => {}, 1000);";
    write('libggml-openvino.so', `require('node:fs').writeSync(1, ${JSON.stringify(`${usableLine}\n`)}); ${dies}`);
    const { problems, openvino } = await probe();
    expect(openvino).toBeNull();
    expect(problems).toEqual([expect.stringMatching(/^libggml-openvino.so runs.*\(SIGKILL\).*device CPU/)]);
    // The module itself is well, and stays in use.
    expect(knownCrashes().has(file)).toBe(false);
  });

  it('takes a driver that hangs for one that crashes', async () => {
    const file = write('libggml-vulkan.so', 'setInterval(() => {}, 1000);');
    await probe(500);
    expect(knownCrashes().get(file)).toContain('no answer within 0.5 s');
  });

  it('forgets a module that is well again, and one whose file was replaced', async () => {
    const file = write('libggml-vulkan.so', 'process.exit(3);');
    await probe();
    expect(knownCrashes().has(file)).toBe(true);
    appendFileSync(file, '// another driver');
    expect(knownCrashes().has(file)).toBe(false);
    await probe();
    expect(knownCrashes().has(file)).toBe(true);
    writeFileSync(file, '');
    await probe();
    expect(knownCrashes().size).toBe(0);
    expect(existsSync(join(cache, 'backend-crashes.json'))).toBe(false);
  });

  it('keeps what it knows of modules that lie elsewhere', async () => {
    const file = write('libggml-vulkan.so', 'process.exit(3);');
    await probe();
    const before = readFileSync(join(cache, 'backend-crashes.json'), 'utf8');
    const other = mkdtempSync(join(tmpdir(), 'nd-probes-'));
    writeFileSync(join(other, 'addon.cjs'), addon);
    writeFileSync(join(other, 'libggml-cuda.so'), '');
    await probeBackends({ binary: join(other, 'addon.cjs'), entry });
    expect(readFileSync(join(cache, 'backend-crashes.json'), 'utf8')).toBe(before);
    expect(knownCrashes().has(file)).toBe(true);
  });

  it('says so when it cannot remember, and knows nothing from a damaged memory', async () => {
    write('libggml-vulkan.so', 'process.exit(3);');
    vi.stubEnv('NODE_DIFFUSION_CACHE', write('a-file', 'not a folder'));
    expect((await probe()).problems.join()).toMatch(/could not be remembered/);
    vi.stubEnv('NODE_DIFFUSION_CACHE', folder);
    for (const text of ['{', '{}', '[null, 1, {"file": 1}]']) {
      write('backend-crashes.json', text);
      expect(knownCrashes().size).toBe(0);
    }
  });

  it('has nothing to try without an addon', async () => {
    expect(await probeBackends({ binary: join(folder, 'missing.node') })).toEqual({ problems: [], openvino: null });
  });
});
