import { readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { type BenchRecord, describeMachine, runBench } from '../../lib/bench/index.js';
// Imported here and not when the first test runs it: that takes seconds.
import '../../lib/cli/commands/bench.js';
import { runCli } from '../../lib/cli/run.js';
import { DiffusionError } from '../../lib/errors/index.js';
import { fakePython, fakeSdCli, useFakeBench } from '../support/fakeBench.js';

const fake = useFakeBench();
const short = ['--repeat', '2', '--steps', '4', '--quiet'];

function record(path: string): BenchRecord {
  return JSON.parse(readFileSync(path, 'utf8')) as BenchRecord;
}

function rows(path: string): Record<string, number> {
  return Object.fromEntries(
    record(path).suites.flatMap((suite) => suite.rows.map(({ name, median }) => [name, median])),
  );
}

describe('bench throughput', () => {
  it('writes a table, a JSON file and a chart', async () => {
    const { context, out, err, folder, prompts, ...rest } = await fake();
    const files = ['--json', join(folder, 'a.json'), '--chart', join(folder, 'a.svg')];
    expect(await runCli(['bench', 'throughput', '--sizes', '64,64x128', '--repeat', '2', ...files], context)).toBe(0);
    expect(out.text).toContain('64x128: node-diffusion step');
    expect(err.text).toContain('64x64: warm-up 1 of 1');
    // For each of two sizes a warm-up and two turns.
    expect(prompts).toHaveLength(6);
    expect(rest.loads[0]).toMatchObject({ conditioningCacheBytes: 0 });
    const { machine, commits, suites, node } = record(join(folder, 'a.json'));
    expect(machine.id).toMatch(/c-[0-9a-f]{6}$/);
    expect(node).toBe(process.version);
    expect(commits).toMatchObject({ engineCommit: 'e1', ggmlCommit: 'g1' });
    expect(suites[0]?.settings).toMatchObject({ threads: 0, openvino: null, memoryLimit: null, isolation: 'none' });
    expect(suites[0]).toMatchObject({
      ...{ name: 'throughput', repeat: 2, warmup: 1 },
      settings: { model: 'SD 1.x Tiny UNet', files: [{ role: 'checkpoint', bytes: 7, sha256: 'abc' }], backend: 'cpu' },
    });
    // Sampling takes 20 ms for 10 steps.
    expect(rows(join(folder, 'a.json'))['64x64: node-diffusion step']).toBeCloseTo(2);
    const svg = readFileSync(join(folder, 'a.svg'), 'utf8');
    expect(svg).toContain('node-diffusion step');
    expect((await sharp(Buffer.from(svg)).metadata()).width).toBe(900);
  });

  it('names no path of this machine in its result', async () => {
    const { context, folder } = await fake();
    await runCli(['bench', 'throughput', ...short, '--json', join(folder, 'p.json')], context);
    expect(readFileSync(join(folder, 'p.json'), 'utf8')).not.toMatch(/\/embedded|\/somewhere|nd-bench-/);
  });

  it('draws a PNG', async () => {
    const { context, folder } = await fake();
    const path = join(folder, 'b.png');
    expect(await runCli(['bench', 'throughput', ...short, '--chart', path], context)).toBe(0);
    expect((await sharp(path).metadata()).format).toBe('png');
  });
});

describe('bench --compare', () => {
  it('runs sd-cli in turn with a fresh process of ours, on the same files and request', async () => {
    const { context, folder, program, fresh, out } = await fake();
    const peer = program('sd-cli', fakeSdCli(folder));
    const file = join(folder, 's.json');
    const args = ['--compare', 'sd-cli', peer, '--threads', '2', '--json', file];
    expect(await runCli(['bench', 'throughput', ...short, ...args], context)).toBe(0);
    expect(fresh).toHaveLength(3);
    expect(fresh[0]).toMatchObject({
      runtime: { threads: 2 },
      load: { checkpoint: '/embedded/nano.safetensors', taesd: '/embedded/taesd.safetensors' },
      request: { prompt: 'a red apple', steps: 4, width: 64, seed: 1 },
    });
    const calls = readFileSync(join(folder, 'sd-cli.log'), 'utf8').trim().split('\n');
    const asked = JSON.parse(calls.at(-1) ?? '') as string[];
    const after = (flag: string) => asked[asked.indexOf(flag) + 1];
    expect([after('--model'), after('--steps'), after('--threads'), after('--sampling-method')]).toEqual([
      ...['/embedded/nano.safetensors', '4', '2', 'euler'],
    ]);
    // 20 ms against 40 ms of sampling.
    expect(rows(file)['64x64: step ratio']).toBeCloseTo(0.5);
    expect(record(file).suites[0]?.peer).toMatchObject({
      ...{ name: 'sd-cli', version: 'sd-cli of a test', device: 'CPU' },
    });
    expect(out.text).toContain('the picture of sd-cli has the same pixels');
  });

  it('says so when the other program draws another picture', async () => {
    const { context, folder, program, out } = await fake();
    const peer = program('sd-other', fakeSdCli(folder, 'other.png'));
    expect(await runCli(['bench', 'throughput', ...short, '--compare', 'sd-cli', peer], context)).toBe(0);
    expect(out.text).toContain('WARNING: sd-cli drew another picture');
  });

  it.each(['diffusers', 'openvino-python'])('keeps %s in memory, and our model too', async (name) => {
    const { context, folder, program, fresh, loads, prompts } = await fake();
    const file = join(folder, 'd.json');
    const peer = program('python', fakePython);
    expect(await runCli(['bench', 'throughput', ...short, '--compare', name, peer, '--json', file], context)).toBe(0);
    expect([fresh.length, prompts.length]).toEqual([0, 3]);
    expect(loads[0]).toMatchObject({ rng: 'cpu' });
    expect(rows(file)['64x64: step ratio']).toBeCloseTo(0.5);
    const [suite] = record(file).suites;
    expect(suite?.peer).toMatchObject({ name, torch: '1.2.3' });
    expect(String(suite?.peer?.script)).toMatch(new RegExp(`bench.peers.${name.replace('-', '_')}_peer\\.py$`));
    expect(suite?.notes?.[0]).toMatch(/within 4\d\.\d dB/);
  });

  it.each([
    ['latency', ['64x64: first step, warm', '64x64: picture, warm', '64x64: sd-cli cold', '64x64: cold ratio']],
    ['load', ['node-diffusion load', 'sd-cli load', 'load ratio']],
    ['memory', ['64x64: node-diffusion model', '64x64: node-diffusion job, estimated', '64x64: peak ratio']],
    ['hires', ['64x64 to 128x128: sd-cli two passes', '64x64 to 128x128: two passes ratio']],
    ['lora', ['merge', 'kept set', 'sd-cli merge', 'merge ratio']],
  ])('measures %s', async (command, expected) => {
    const { context, folder, program, disposed: _ } = await fake();
    const file = join(folder, `${command}.json`);
    const lora = join(folder, 'style.safetensors');
    writeFileSync(lora, 'not read here');
    const own = command === 'lora' ? ['--lora', lora] : [];
    const peer = program('sd-cli', fakeSdCli(folder));
    const args = ['bench', command, ...short, ...own, '--compare', 'sd-cli', peer, '--json', file];
    expect(await runCli(args, context)).toBe(0);
    expect(Object.keys(rows(file))).toEqual(expect.arrayContaining(expected));
    expect(record(file).suites[0]?.peer).toMatchObject({ device: 'CPU' });
  });

  it.each(['throughput', 'lora'])('refuses what sd-cli did on another device: %s', async (command) => {
    const { context, folder, program, err } = await fake();
    const lora = join(folder, 'style.safetensors');
    writeFileSync(lora, 'not read here');
    const peer = program('sd-gpu', fakeSdCli(folder, 'grey.png', 'Vulkan0'));
    const own = command === 'lora' ? ['--lora', lora] : [];
    expect(await runCli(['bench', command, ...short, ...own, '--compare', 'sd-cli', peer], context)).toBe(2);
    expect(err.text).toMatch(/ERR_INVALID_OPTION: .*which computed on Vulkan0/);
  });

  it('refuses a device of ours that the peer does not compute on, before anything is loaded', async () => {
    const gpu = await fake({ backend: 'vulkan', name: 'Vulkan0', type: 'gpu' });
    const compare = (bench: typeof gpu, name: string, code: string) =>
      runCli(['bench', 'throughput', ...short, '--compare', name, bench.program(`on-${name}`, code)], bench.context);
    expect(await compare(gpu, 'sd-cli', fakeSdCli(gpu.folder))).toBe(2);
    expect(gpu.err.text).toMatch(/--backend.*vulkan \(Vulkan0\).*Add --backend cpu/);
    expect(await compare(gpu, 'diffusers', fakePython)).toBe(2);
    expect([gpu.loads.length, gpu.fresh.length, gpu.disposed]).toEqual([0, 0, 2]);
    // OpenVINO's own device is the CPU unless its settings say otherwise.
    const openvino = await fake({ backend: 'openvino', name: 'OpenVINO', type: 'accel' });
    expect(await compare(openvino, 'openvino-python', fakePython)).toBe(0);
    const settings = { command: 'throughput', load: {}, request: {}, repeat: 1 } as const;
    const host = await openvino.context.benchHost();
    const elsewhere = runBench(
      {
        ...settings,
        runtime: { openvino: { device: 'GPU' } },
        compare: { peer: 'diffusers', path: openvino.program('python', fakePython) },
      },
      { host, machine: describeMachine(), signal: new AbortController().signal },
    );
    await expect(elsewhere).rejects.toMatchObject({ code: 'ERR_INVALID_OPTION', field: '--backend' });
  });

  it('tells why a peer failed', async () => {
    const { context, program, err } = await fake();
    const failing = program('failing', "console.error('out of luck'); process.exit(3);");
    expect(await runCli(['bench', 'load', ...short, '--compare', 'sd-cli', failing], context)).toBe(1);
    expect(err.text).toMatch(/ERR_ENGINE: .*ended with 3:\nout of luck/);
    const silent = program('silent', '');
    expect(await runCli(['bench', 'load', ...short, '--compare', 'sd-cli', silent], context)).toBe(2);
    expect(err.text).toContain('logged no line');
    const python = program('python', fakePython);
    const broken = ['-m', '/broken', '--compare', 'diffusers', python];
    expect(await runCli(['bench', 'load', ...short, ...broken], context)).toBe(4);
    expect(err.text).toContain('ERR_MODEL_UNSUPPORTED: no such layer');
  });

  it('ends the other program when it is interrupted', async () => {
    const bench = await fake();
    const { context, folder, program, abort, err } = bench;
    const started = join(folder, 'pid');
    const hanging = program(
      'hanging',
      `if (process.argv[2] === '--version') process.exit(0);
       require('node:fs').writeFileSync(${JSON.stringify(started)}, String(process.pid));
       setInterval(() => undefined, 1000);`,
    );
    const done = runCli(['bench', 'throughput', ...short, '--compare', 'sd-cli', hanging], context);
    let pid = 0;
    for (let i = 0; i < 500 && pid === 0; i++) {
      await sleep(20);
      try {
        pid = Number(readFileSync(started, 'utf8'));
      } catch {
        continue;
      }
    }
    expect(pid).toBeGreaterThan(0);
    abort.abort(new DiffusionError('ERR_ABORTED', 'Interrupted.'));
    expect(await done).toBe(130);
    expect(err.text).toContain('ERR_ABORTED: Interrupted.');
    expect(() => process.kill(pid, 0)).toThrow();
    expect(bench.disposed).toBe(1);
  });
});

describe('bench backends', () => {
  it('measures each backend that has a device', async () => {
    const { context, folder, out } = await fake();
    const file = join(folder, 'k.json');
    expect(await runCli(['bench', 'backends', ...short, '--backends', 'cpu,vulkan', '--json', file], context)).toBe(0);
    expect(Object.keys(rows(file))).toContain('64x64: vulkan / cpu');
    expect(out.text).toContain('the picture of vulkan has the same pixels');
  });
});

describe('bench --against', () => {
  const against = async (change: (record: Record<string, unknown>) => void, ...more: string[]) => {
    const { context, folder, out, err, loads } = await fake();
    const [old, now] = [join(folder, 'old.json'), join(folder, 'now.json')];
    expect(await runCli(['bench', 'throughput', ...short, '--json', old], context)).toBe(0);
    writeFileSync(now, readFileSync(old));
    const changed = JSON.parse(readFileSync(old, 'utf8')) as Record<string, unknown>;
    change(changed);
    writeFileSync(old, JSON.stringify(changed));
    loads.length = 0;
    const code = await runCli(['bench', ...(more.length > 0 ? more : [now]), '--against', old], context);
    return { code, out: out.text, err: err.text, loads: loads.length };
  };

  it('shows what became of each row, of two files and of a new run', async () => {
    const halve = (record: Record<string, unknown>) => {
      const { suites } = record as unknown as { suites: { rows: { median: number; min: number; max: number }[] }[] };
      for (const row of suites[0]?.rows ?? []) row.median = row.min = row.max = row.median / 2;
    };
    const { code, out } = await against(halve);
    expect(code).toBe(0);
    expect(out).toMatch(/64x64: node-diffusion step +2\.500 +5\.000 +\+100\.0 % +ms/);
    const again = await against(() => undefined, 'throughput', ...short);
    expect(again.code).toBe(0);
    expect(again.out).toContain('within the spread');
  });

  it('refuses another machine before anything is measured', async () => {
    const other = (record: Record<string, unknown>) => {
      record.machine = { ...(record.machine as object), id: 'other-8c-000000' };
    };
    const { code, err, loads } = await against(other, 'throughput', ...short);
    expect([code, loads]).toEqual([2, 0]);
    expect(err).toContain('ERR_INVALID_OPTION: The result to compare with is of another machine, other-8c-000000');
    expect((await against(other)).code).toBe(2);
  });

  it('refuses other settings, and what is no result', async () => {
    const { code, err } = await against(() => undefined, 'throughput', '--repeat', '2', '--steps', '5', '--quiet');
    expect(code).toBe(2);
    expect(err).toContain('made with other settings: request');
    const threads = await against(() => undefined, 'throughput', ...short, '--threads', '2');
    expect([threads.code, threads.err]).toEqual([2, expect.stringContaining('made with other settings: threads')]);
    const { context, folder, err: log } = await fake();
    writeFileSync(join(folder, 'no.json'), '{"suites":[]}');
    expect(await runCli(['bench', 'load', '--against', join(folder, 'no.json')], context)).toBe(2);
    expect(await runCli(['bench', 'load', '--against', join(folder, 'gone.json')], context)).toBe(2);
    expect(log.text).toMatch(/expected a result of "node-diffusion bench[^]*Cannot read/);
  });
});

describe('bench refuses before anything is loaded', () => {
  it.each([
    [['nothing'], 'Unknown benchmark "nothing"'],
    [['throughputs'], 'Did you mean "throughput"?'],
    [[], 'bench needs a benchmark'],
    [['load', 'memory'], 'One benchmark expected'],
    [['load', '--compare', 'sd-cli'], 'needs two values: --compare PEER PATH'],
    [['load', '--compare', 'sd-cly', 'x'], 'Did you mean "sd-cli"?'],
    [['load', '--compare', 'sd-cli', '/nowhere/sd-cli'], 'the path of sd-cli, a program that can be run'],
    [['lora', '--compare', 'diffusers', process.execPath], 'one of sd-cli with lora'],
    [['backends', '--compare', 'sd-cli', process.execPath], 'no peer with backends'],
    [['throughput', '--compare', 'diffusers', process.execPath, '--sampler', 'heun'], 'euler with diffusers'],
    [['throughput', '--compare', 'diffusers', process.execPath, '--weight-type', 'q8_0'], 'with a Python peer'],
    [['throughput', '--compare', 'sd-cli', process.execPath, '--convolution-type', 'f32'], 'f16 with sd-cli'],
    [['throughput', '--sizes', '64,big'], 'an edge or WIDTHxHEIGHT'],
    [['throughput', '--sizes', '99999'], 'ERR_INVALID_OPTION'],
    [['throughput', '--repeat', '0'], 'an integer, 1..1000'],
    [['throughput', '--warmup', '101'], 'an integer, 0..100'],
    [['throughput', '--steps', '0'], 'ERR_INVALID_OPTION'],
    [['throughput', '--chart', 'x.bmp'], 'ends with .svg or .png'],
    [['throughput', '--json', '/nowhere/x.json'], 'a file in a folder that exists'],
    [['throughput', '--lora', 'x'], '--lora belongs to the benchmark lora'],
    [['throughput', '--hires', '2'], '--hires belongs to the benchmark hires'],
    [['backends', '--backends', 'cpu,metal'], 'one of cpu, cuda, vulkan, openvino'],
  ])('%j', async (args, message) => {
    const { context, err, out, loads } = await fake();
    expect(await runCli(['bench', ...args], context)).toBe(2);
    expect(err.text).toContain(message);
    expect([out.text, loads.length]).toEqual(['', 0]);
  });

  it('a size that the model does not make, as soon as it is known', async () => {
    const { context, err, prompts } = await fake();
    expect(await runCli(['bench', 'throughput', '--sizes', '72'], context)).toBe(2);
    expect(err.text).toContain('multiples of 64 pixels');
    expect(prompts).toEqual([]);
  });
});
