import { createRuntime, type Runtime, type RuntimeOptions } from '../../lib/index.js';
import { threads } from './native.js';

/** A runtime on the first Vulkan device. Without one the tests fail, and say what is missing. */
export async function vulkanRuntime(options: RuntimeOptions = {}): Promise<Runtime> {
  try {
    return await createRuntime({ backend: 'vulkan', threads, ...options });
  } catch (error) {
    const needs =
      'These tests need the module (node scripts/build.mjs -DND_VULKAN=ON -DND_BUILD_TESTS=ON) and a Vulkan device; a ' +
      'software device will do (Debian and Ubuntu: apt-get install mesa-vulkan-drivers).';
    throw new Error(`${error instanceof Error ? error.message : String(error)}\n${needs}`, { cause: error });
  }
}
