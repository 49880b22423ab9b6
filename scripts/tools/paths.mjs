import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The package's folder, absolute. */
export const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..');

/** Where CMake builds, absolute. */
export const buildDir = join(root, 'build');

/** The built addon, absolute; its libraries and backend modules lie beside it. */
export const addonFile = join(buildDir, 'Release', 'node-diffusion.node');

/** Where the engine's source is unpacked, absolute. */
export const vendorDir = join(root, 'native/vendor/stable-diffusion.cpp');

/** Where OpenVINO's headers, CMake files and libraries are unpacked, absolute. */
export const openvinoDir = join(root, 'native/vendor/openvino');

/** Where the CUDA toolkit is unpacked, absolute. */
export const cudaDir = join(root, 'native/vendor/cuda');

/** Where Vulkan's headers, its loader to link with and the shader compiler are unpacked, absolute. */
export const vulkanDir = join(root, 'native/vendor/vulkan');

/** Where releases of Node are unpacked that tests run on, absolute. */
export const nodesDir = join(root, '.cache/node');
