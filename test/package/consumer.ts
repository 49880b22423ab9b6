import { join } from 'node:path';
import { type ChildEnd, type ChildOptions, describeEnd, runChild } from '../support/child/run.js';
import { expect } from 'vitest';

/** Makes the smallest picture and says what it is made of and with. `import` and `require` are spelt by {@link consumer}. */
const body = `
  const runtime = await createRuntime({ backend: 'cpu', threads: 1 });
  const model = await runtime.loadModel({ mmap: true });
  const { images } = await model.txt2img({ prompt: 'a red apple', width: 64, height: 64, steps: 1, cfgScale: 1, seed: 1 });
  if (process.argv[2] !== 'nowhere') await images[0].save(process.argv[2] ?? 'out.png');
  const sum = [...images[0].data].reduce((total, value) => total + value, 0);
  await runtime.dispose();
  report({ binary: runtime.binary, sum, node: process.version });`;

const report = 'const report = (value) => console.log(JSON.stringify(value));';

/** A program that uses the package as people do. */
export const consumer = {
  esm: `import { createRuntime } from 'node-diffusion';\n${report}${body}`,
  commonjs: `const { createRuntime } = require('node-diffusion');\n${report}(async () => {${body}})();`,
  worker: `
    import { Worker, isMainThread, parentPort } from 'node:worker_threads';
    import { createRuntime } from 'node-diffusion';
    const report = (value) => parentPort.postMessage(value);
    if (isMainThread) {
      // Two at once: each has an environment of its own, the engine's libraries are there once.
      for (const _ of [1, 2]) new Worker(new URL(import.meta.url)).on('message', (value) => console.log(JSON.stringify(value)));
    } else {${body}}`,
};

/** What a consumer reports: its addon, the sum of its picture's bytes, its Node. */
interface Made {
  readonly binary: string;
  readonly sum: number;
  readonly node: string;
}

/** Runs a program of an installed project; it must end well and print nothing but what it reports. */
export async function runConsumer(
  script: string,
  cwd: string,
  options: Omit<ChildOptions, 'cwd' | 'limit' | 'onLine'> & { args?: readonly string[] } = {},
): Promise<Made[]> {
  const { args = [join(cwd, 'out.png')], env = {}, ...rest } = options;
  const end = await runChild(script, args, { cwd, env: { NODE_DIFFUSION_BINARY: '', ...env }, ...rest });
  expectGood(end);
  return end.lines as unknown as Made[];
}

export function expectGood(end: ChildEnd): void {
  expect(end.signal, describeEnd(end)).toBeNull();
  expect(end.code, describeEnd(end)).toBe(0);
  expect(end.noise, describeEnd(end)).toBe('');
  expect(end.stderr, describeEnd(end)).toBe('');
}
