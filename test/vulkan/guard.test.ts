import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, it } from 'vitest';
import { packageRoot } from '../../lib/here.js';
import { loadAddon } from '../../lib/native/index.js';

it('small graphs on a device that is lost, or has no memory, fail with their reason, and the module goes on', () => {
  const modules = dirname(loadAddon({ backends: false }).path);
  const program = join(modules, 'vulkan_guard_test');
  if (!existsSync(program))
    throw new Error(`${program} is missing: node scripts/build.mjs -DND_VULKAN=ON -DND_BUILD_TESTS=ON`);
  const layers = join(packageRoot, 'build', 'vulkan-layers');
  const env = { ...process.env, VK_LAYER_PATH: layers, VK_INSTANCE_LAYERS: 'VK_LAYER_ND_fault' };
  const { status, stdout, stderr } = spawnSync(program, [join(modules, 'libggml-vulkan.so')], {
    env,
    encoding: 'utf8',
  });
  expect({ status, stderr: status === 0 ? '' : stderr }).toEqual({ status: 0, stderr: '' });
  expect(stdout).toMatch(/[1-9]\d* checks held, 0 failed/);
});
