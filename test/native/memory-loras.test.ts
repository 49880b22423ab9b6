import { stat } from 'node:fs/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { createRuntime, ensureEmbeddedModel, inspectModel } from '../../lib/index.js';
import { lowRank, writeLora } from '../support/lora/files.js';
import { memoryJobs } from '../support/memoryJobs.js';
import { threads, tiny } from '../support/native.js';
import { useScratch } from '../support/scratch.js';

const scratch = useScratch(2 ** 28);
const mib = 2 ** 20;
const layers = /^model\.diffusion_model\..*(?:attn\d|\.ff\.).*\.weight$/;
/** What a process grows by beside what is counted: JavaScript, libraries, the allocator. */
const around = 96 * mib;
let lora = '';
/** Bytes of the tensors that it changes, of the file, of the model, and of a job without it. */
let [touched, file, weights, job] = [0, 0, 0, 0];

beforeAll(async () => {
  const { checkpoint } = await ensureEmbeddedModel();
  const matrices = (await inspectModel(checkpoint)).tensors.filter(
    ({ name, shape }) => shape.length === 2 && layers.test(name),
  );
  const modules = matrices.map(({ name, shape: [output = 0, input = 0] }) => {
    touched += output * input * 2;
    return [name.replace(/\.weight$/, ''), [output, input]] as const;
  });
  lora = writeLora(scratch.path('wide.safetensors'), lowRank(Object.fromEntries(modules), { seed: 1, rank: 96 }));
  file = (await stat(lora)).size;
  const runtime = await createRuntime({ backend: 'cpu', threads });
  const model = await runtime.loadModel();
  weights = model.info.bytes;
  ({ job } = await model.estimate(tiny));
  await runtime.dispose();
});

/** A picture without, one with, and one without the LoRA, under a limit. */
const draw = (memoryLimit: number, load: object) =>
  memoryJobs({ runtime: { memoryLimit }, load, requests: [tiny, { ...tiny, loras: [{ path: lora }] }, tiny] });

describe.each([
  ['copies of the originals', { loraBackup: 'ram' }, () => touched + file + 64 * mib],
  ['the adapter at run time', { loraMode: 'runtime' }, () => 3 * file],
] as const)('%s', (_, load, need) => {
  it('count under memoryLimit, which holds', async () => {
    expect(need()).toBeGreaterThan(around + 64 * mib);
    const limit = weights + job + need() + around;
    const [plain, styled, again] = await draw(limit, load);
    expect(styled?.refused).toBeUndefined();
    expect(styled?.hash).not.toBe(plain?.hash);
    expect(again?.hash).toBe(plain?.hash);
    for (const one of [plain, styled, again]) expect(one?.sinceStart).toBeLessThan(limit);
  });

  it('are refused where they do not fit, and the model is as it was', async () => {
    const [plain, styled, again] = await draw(weights + job + around, load);
    expect(plain?.refused).toBeUndefined();
    expect(styled).toMatchObject({ refused: 'ERR_OUT_OF_MEMORY' });
    expect(styled?.message).toMatch(/^Setting the LoRAs needs \d+ MiB of memory, memoryLimit .* Nothing was changed\./);
    expect(styled?.phases).not.toContain('sample');
    expect(again?.hash).toBe(plain?.hash);
  });
});
