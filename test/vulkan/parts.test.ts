import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, it } from 'vitest';
import { ensureEmbeddedModel } from '../../lib/model/index.js';
import { loadAddon } from '../../lib/native/index.js';

it('text encoder, UNet and VAE give the values of the CPU backend', async () => {
  const modules = dirname(loadAddon({ backends: false }).path);
  const program = join(modules, 'vulkan_test');
  if (!existsSync(program))
    throw new Error(`${program} is missing: node scripts/build.mjs -DND_VULKAN=ON -DND_BUILD_TESTS=ON`);
  const { checkpoint, taesd } = await ensureEmbeddedModel();
  const env = { ...process.env, ND_TEST_CHECKPOINT: checkpoint, ND_TEST_TAESD: taesd };
  const { status, stdout, stderr } = spawnSync(program, [modules], { env, encoding: 'utf8' });
  process.stdout.write(stdout);
  expect({ status, stderr: status === 0 ? '' : stderr }).toEqual({ status: 0, stderr: '' });
  for (const part of ['text encoder', 'UNet', 'VAE']) expect(stdout).toContain(`${part}: relative error`);
});
