#!/usr/bin/env node
/** `npm run test:chaos [-- KILLS [SEED]]`: the chaos test with pictures only; without a seed it draws one and prints it. */
import { entry } from './tools/say.mjs';
import { runTool } from './tools/run.mjs';

entry(import.meta.url, async () => {
  const [kills = '200', seed] = process.argv.slice(2);
  const env = {
    ...process.env,
    NODE_DIFFUSION_TEST_KILLS: kills,
    NODE_DIFFUSION_TEST_PICTURES: '1',
    ...(seed === undefined ? {} : { NODE_DIFFUSION_TEST_SEED: seed }),
  };
  const args = ['run', '--project', 'native', '--testTimeout=7200000', 'test/native/isolation-chaos.test.ts'];
  return runTool('vitest', args, { allowFailure: true, env });
});
