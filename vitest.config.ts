import { defineConfig } from 'vitest/config';

/** One room of tests. Every file runs in a process of its own, so a native crash fails one file and no other. */
function room(name: string, include: string[], seconds: number, env: Record<string, string> = {}) {
  return {
    extends: true as const,
    test: { name, include, testTimeout: seconds * 1000, hookTimeout: seconds * 1000, env },
  };
}

export default defineConfig({
  test: {
    pool: 'forks',
    // Native tests use every core by themselves: one file at a time. `npm run test:unit` asks for more.
    maxWorkers: 1,
    minWorkers: 1,
    passWithNoTests: false,
    projects: [
      room('unit', ['test/unit/**/*.test.ts'], 20),
      room('native', ['test/native/**/*.test.ts'], 600),
      room('fuzz', ['test/fuzz/**/*.test.ts'], 600),
      room('parity', ['test/parity/**/*.test.ts'], 600),
      room('package', ['test/package/**/*.test.ts'], 300),
      // Needs the module: node scripts/build.mjs -DND_OPENVINO=ON.
      room('openvino', ['test/openvino/**/*.test.ts'], 600),
      // Needs the module, -DND_VULKAN=ON, and a device. ggml leaves software devices alone unless they are named.
      room('vulkan', ['test/vulkan/**/*.test.ts'], 1800, {
        GGML_VK_VISIBLE_DEVICES: process.env.GGML_VK_VISIBLE_DEVICES ?? '0',
      }),
      // Needs the module, node scripts/build-cuda.mjs, and the C++ tests; no GPU.
      room('cuda', ['test/cuda/**/*.test.ts'], 120),
      room('full', ['test/full/**/*.test.ts'], 3600),
    ],
  },
});
