/** What the native build is made of. Changing a pin here changes every fingerprint that depends on it. */

/** The engine's source: the folder `source` inside the source distribution of a Python package. */
export const engine = {
  package: 'stable-diffusion-cpp-python',
  version: '0.4.7',
  sha256: '998d1957260dd5ae4e18a8acc0c14b0a8757aaa9f96515197b6d5bbf46df9282',
  source: 'vendor/stable-diffusion.cpp',
};

/**
 * OpenVINO: headers, CMake files and runtime libraries inside the wheel of its Python package. The wheel is named whole, so
 * that every Python brings the same file.
 */
export const openvino = {
  package: 'openvino',
  version: '2026.4.1',
  python: '3.11',
  platform: 'manylinux_2_28_x86_64',
  sha256: '2d22b1da03f7caf74df30e9f6417d0ab2f637e4a38e08e1dcd294d2c37407aaf',
};

/** Lowest versions that work, as `major.minor`. */
export const minimum = { node: '20.9', cmake: '3.18', gxx: '11.0', clangxx: '14.0' };
