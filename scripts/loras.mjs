#!/usr/bin/env node
/** `npm run test:loras [-- SETS]`: the digest and the memory over many random sets of LoRAs; default 10,000. */
import { entry } from './tools/say.mjs';
import { runTool } from './tools/run.mjs';

entry(import.meta.url, async () => {
  const env = { ...process.env, NODE_DIFFUSION_TEST_LORA_SETS: process.argv[2] ?? '10000' };
  const args = ['run', '--project', 'native', '--testTimeout=7200000', 'test/native/lora-exact.test.ts', '-t', 'many'];
  return runTool('vitest', args, { allowFailure: true, env });
});
