/**
 * A program that uses node-llama-cpp and node-diffusion: `node both.mjs PACKAGE ...`, in the order in which they are loaded; then
 * they work at once. Reports what each made and which libraries of ggml are in the process. Runs where
 * scripts/beside-llama.mjs has installed both.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

const packages = {
  'node-llama-cpp': async () => {
    const { getLlama, LlamaLogLevel } = await import('node-llama-cpp');
    const offline = { gpu: false, build: 'never', skipDownload: true };
    const llama = await getLlama({ ...offline, logLevel: LlamaLogLevel.error });
    const model = await llama.loadModel({ modelPath: 'tiny.gguf' });
    const context = await model.createContext({ contextSize: 128, threads: 1 });
    const work = async () => {
      const tokens = [];
      for await (const token of context.getSequence().evaluate(model.tokenize('a red apple'), { temperature: 0 })) {
        if (tokens.push(token) === 64) break;
      }
      return tokens.join(' ');
    };
    return { work, end: () => llama.dispose() };
  },
  'node-diffusion': async () => {
    const { createRuntime } = await import('node-diffusion');
    const runtime = await createRuntime({ backend: 'cpu', threads: 1 });
    const model = await runtime.loadModel({ mmap: true });
    const request = { prompt: 'a red apple', width: 64, height: 64, steps: 2, cfgScale: 1, seed: 7 };
    const work = async () => {
      const { images } = await model.txt2img(request);
      return createHash('sha256').update(images[0].data).digest('hex');
    };
    return { work, end: () => runtime.dispose() };
  },
};

const names = process.argv.slice(2);
const loaded = [];
for (const name of names) loaded.push(await packages[name]());
const made = await Promise.all(loaded.map(({ work }) => work()));
const libraries = [...new Set(readFileSync('/proc/self/maps', 'utf8').match(/[^/\s]*ggml[^/\s]*\.so[.\d]*/g))].sort();
for (const { end } of loaded) await end();
const report = { made: Object.fromEntries(names.map((name, i) => [name, made[i]])), libraries };
process.stdout.write(`${JSON.stringify(report)}\n`);
