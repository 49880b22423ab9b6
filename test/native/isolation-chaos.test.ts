import { expect, it } from 'vitest';
import { createRuntime, ensureEmbeddedModel } from '../../lib/index.js';
import { chaos, type ChaosJob } from '../support/chaos.js';
import { small } from '../support/isolation.js';
import { only, sha256, threads, tiny } from '../support/native.js';
import { useScratch } from '../support/scratch.js';
import { writeUpscaler } from '../support/upscaler.js';

const scratch = useScratch(50e6);
const seed = Number(process.env.NODE_DIFFUSION_TEST_SEED ?? Date.now() % 1e9);
const kills = Number(process.env.NODE_DIFFUSION_TEST_KILLS ?? 200);
/** Share of the jobs that are pictures; the others are enlargements, which load and run in a fraction of the time. */
const pictures = Number(process.env.NODE_DIFFUSION_TEST_PICTURES ?? 0.1);

it(`loses, doubles and spoils nothing when the engine is killed ${String(kills)} times (seed ${String(seed)})`, async () => {
  const file = scratch.path('up.safetensors');
  await writeUpscaler(file, { scale: 2, weights: { seed: 3 } });
  const { checkpoint, taesd } = await ensureEmbeddedModel();
  const kinds = async (isolation: 'none' | 'process') => {
    const runtime = await createRuntime({ backend: 'cpu', threads, isolation });
    const upscaler = await runtime.loadUpscaler({ file });
    const model = await runtime.loadModel({ checkpoint, taesd, mmap: true });
    const picture = async (): Promise<string> => sha256(only(await model.txt2img({ ...tiny, steps: 1 })).data);
    const enlarge = async (): Promise<string> => sha256((await upscaler.upscale({ image: small })).data);
    return { runtime, picture, enlarge };
  };
  const here = await kinds('none');
  const expected = { picture: await here.picture(), enlarge: await here.enlarge() };
  await here.runtime.dispose();

  const there = await kinds('process');
  await using runtime = there.runtime;
  const jobs: ChaosJob[] = [
    { name: 'picture', weight: pictures, run: there.picture, expected: expected.picture },
    { name: 'enlarge', weight: 1 - pictures, run: there.enlarge, expected: expected.enlarge },
  ];
  const report = await chaos(runtime, jobs, { kills, seed });
  process.stderr.write(`chaos, seed ${String(seed)}: ${JSON.stringify(report)}\n`);
  expect(report.kills).toBe(kills);
  // The moments are drawn over the whole of a job and past its end, so both kinds of outcome must come.
  expect(report.lost).toBeGreaterThan(kills / 10);
  expect(report.finished).toBeGreaterThan(kills / 10);
});
