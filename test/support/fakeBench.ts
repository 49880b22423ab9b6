import { chmodSync, copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll } from 'vitest';
import type { BenchHost, BenchModel, BenchRuntime, FreshJob } from '../../lib/bench/types.js';
import type { Versions } from '../../lib/index.js';
import type { LoadModelOptions } from '../../lib/sdk/types.js';
import { type CliRun, cliContext } from './cliContext.js';

const versions: Versions = {
  ...{
    package: '0.1.0',
    engine: 'engine 1',
    engineCommit: 'e1',
    ggml: '0.9',
    ggmlCommit: 'g1',
    compiler: 'gcc',
    napi: 9,
  },
};
const times = { encode: 1, sample: 20, decode: 3, total: 24 };

export interface FakeBench extends CliRun {
  readonly folder: string;
  readonly loads: LoadModelOptions[];
  readonly fresh: FreshJob[];
  /** Requests of the model in memory. */
  readonly prompts: string[];
  disposed: number;
  /** Writes a program for Node into the folder and returns its path. */
  program(name: string, code: string): string;
}

/** A folder with a picture, and a new fake for each test. Pictures are 64x64, all of one grey. */
export function useFakeBench(): (device?: Partial<BenchRuntime['device']>) => Promise<FakeBench> {
  let folder = '';
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'nd-bench-'));
    for (const [name, level] of [['grey.png', 90] as const, ['other.png', 200] as const]) {
      await sharp(Buffer.alloc(64 * 64 * 3, level), { raw: { width: 64, height: 64, channels: 3 } })
        .png()
        .toFile(join(folder, name));
    }
  });
  afterAll(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  return async (device) => fakeBench(folder, device);
}

function fakeBench(folder: string, given: Partial<BenchRuntime['device']> = {}): FakeBench {
  const device = { name: 'CPU', description: 'a CPU', backend: 'cpu', type: 'cpu' as const, ...given };
  const loads: LoadModelOptions[] = [];
  const fresh: FreshJob[] = [];
  const prompts: string[] = [];
  const run = cliContext({ benchHost: async () => host });
  const fake = { ...run, folder, loads, fresh, prompts, disposed: 0 };
  const model: BenchModel = {
    info: {
      ...{ architecture: 'SD 1.x Tiny UNet', name: 'fake', sizeMultiple: 64, files: {} },
      ...{ defaultSampler: 'euler', defaultSchedule: 'discrete' },
      defaults: { width: 64, height: 64, steps: 20, cfgScale: 3, guidance: 3.5 },
    },
    loras: { set: async (list) => ({ tensors: list.length * 2, copied: 2 }) },
    txt2img: async (request) => {
      request.signal?.throwIfAborted();
      prompts.push(request.prompt);
      const { width = 64, height = 64 } = request;
      const seconds = Object.fromEntries(Object.entries(times).map(([name, ms]) => [name, ms / 1000]));
      const image = { width, height, data: new Uint8Array(width * height * 3).fill(90) };
      const progress = { type: 'progress', phase: 'sample', step: 1, total: 1, image: 1, images: 1 } as const;
      request.onProgress?.({ ...progress, secondsPerStep: 1, eta: null, bytes: 0, totalBytes: 0, fraction: 1 });
      return { images: [image], timings: seconds as typeof times };
    },
    weightsDigest: async () => ({ sha256: 'same' }),
    estimate: async () => ({ job: 2 ** 20, peak: 2 ** 21 }),
    identity: async () => [{ role: 'checkpoint', path: '/somewhere/model.safetensors', bytes: 7, sha256: 'abc' }],
    dispose: async () => undefined,
  };
  const runtime: BenchRuntime = {
    backend: device.backend,
    device,
    devices: [device],
    versions,
    loadModel: async (options) => {
      loads.push(options);
      return model;
    },
    estimateLoad: async () => ({ peak: 2 ** 22, weights: 2 ** 22 }),
    dispose: async () => void (fake.disposed += 1),
  };
  const host: BenchHost = {
    createRuntime: async () => runtime,
    embedded: async () => ({ checkpoint: '/embedded/nano.safetensors', taesd: '/embedded/taesd.safetensors' }),
    fresh: async (job, signal) => {
      signal.throwIfAborted();
      fresh.push(job);
      if (job.output !== undefined) copyFileSync(join(folder, 'grey.png'), job.output);
      const memory = { start: 2 ** 20, resting: 3 * 2 ** 20, peak: 5 * 2 ** 20 };
      return { load: 8, tensors: 4, times: job.request === undefined ? null : times, ...memory, process: 100 };
    },
    cpuFeatures: () => ['AVX2'],
  };
  return Object.assign(fake, {
    program(name: string, code: string) {
      const path = join(folder, name);
      writeFileSync(path, `#!${process.execPath}\n${code}`);
      chmodSync(path, 0o755);
      return path;
    },
  });
}

/** What sd-cli logs, with the picture it is told to write copied from `picture`, on a device of this name. */
export function fakeSdCli(folder: string, picture = 'grey.png', device = 'CPU'): string {
  return `
    const { copyFileSync, appendFileSync } = require('node:fs');
    const args = process.argv.slice(2);
    appendFileSync(${JSON.stringify(join(folder, 'sd-cli.log'))}, JSON.stringify(args) + '\\n');
    if (args[0] === '--version') {
      console.log('sd-cli of a test');
      process.exit(0);
    }
    for (const line of [
      '[DEBUG] ggml_extend.hpp:108  - Initializing backend: ${device}',
      '[INFO ] stable-diffusion.cpp:387 - CLIP: Using CPU backend',
      "loading model from 'x'", 'loading tensors completed, taking 0.02s', 'running in eps mode',
      'get_learned_condition completed, taking 0.01s', "lora 'x' applied, taking 0.50s",
      'sampling completed, taking 0.04s', 'decode_first_stage completed, taking 0.01s',
      'generate_image completed in 0.06s',
    ]) console.log(line);
    copyFileSync(${JSON.stringify(join(folder, picture))}, args[args.indexOf('--output') + 1]);
  `;
}

/** A Python that answers as the peers in bench/peers do. */
export const fakePython = `
  const { writeFileSync } = require('node:fs');
  const lines = require('node:readline').createInterface({ input: process.stdin });
  lines.on('line', (line) => {
    const { load, picture, output } = JSON.parse(line);
    let answer = { versions: { torch: '1.2.3', script: process.argv.at(-1) }, load: 12 };
    if (load && load.checkpoint === '/broken') answer = { error: 'no such layer', kind: 'unsupported' };
    if (picture) {
      writeFileSync(output, Buffer.alloc(picture.width * picture.height * 3, 92));
      answer = { times: { encode: 2, sample: 40, decode: 6, total: 48, firstStep: 30 } };
    }
    process.stderr.write('chatter\\n');
    process.stdout.write(JSON.stringify(answer) + '\\n');
  });
`;
