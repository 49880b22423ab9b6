import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { describeMachine, runBench, systemHost } from '../../lib/bench/index.js';
import { runCli } from '../../lib/cli/run.js';
import { useFakeBench } from '../support/fakeBench.js';
import { threads } from '../support/native.js';
import { sdCliPath } from '../support/sdcli/run.js';

const fake = useFakeBench();

it('measures one step of 64x64 in a fresh process, and sd-cli draws the same pixels', async () => {
  const { context, folder, out } = await fake();
  const json = join(folder, 'native.json');
  const args = ['--sizes', '64', '--steps', '1', '--repeat', '1', '--warmup', '0', '--cfg-scale', '1', '--quiet'];
  const compare = [
    '--compare',
    'sd-cli',
    sdCliPath(),
    '--threads',
    String(threads),
    '--backend',
    'cpu',
    '--json',
    json,
  ];
  const own = { ...context, benchHost: async () => systemHost };
  expect(await runCli(['bench', 'throughput', ...args, ...compare, '--chart', join(folder, 'n.svg')], own)).toBe(0);
  expect(out.text).toContain('the picture of sd-cli has the same pixels');
  expect(existsSync(join(folder, 'n.svg'))).toBe(true);
  const { suites, cpuFeatures } = JSON.parse(readFileSync(json, 'utf8')) as Awaited<ReturnType<typeof runBench>>;
  expect(cpuFeatures.length).toBeGreaterThan(0);
  const rows = new Map(suites[0]?.rows.map(({ name, median }) => [name, median]));
  for (const side of ['node-diffusion', 'sd-cli']) expect(rows.get(`64x64: ${side} step`)).toBeGreaterThan(0);
  expect(rows.get('64x64: picture ratio')).toBeGreaterThan(0);
  expect(suites[0]?.peer).toMatchObject({ device: 'CPU' });
});

it('changes LoRAs that are made up for the model, and puts the weights back', async () => {
  const record = await runBench(
    { command: 'lora', runtime: { backend: 'cpu', threads }, load: {}, request: {}, repeat: 1, warmup: 0 },
    { host: systemHost, machine: describeMachine(), signal: new AbortController().signal },
  );
  const rows = record.suites[0]?.rows ?? [];
  expect(rows.map(({ name }) => name)).toEqual(['merge', 'same set', 'change', 'restore', 'kept set']);
  for (const { median } of rows) expect(median).toBeGreaterThan(0);
});
