import { capture, which } from './run.mjs';
import { findPython } from '../engine-source.mjs';
import { minimum } from '../pins.mjs';

const install = {
  node: 'install Node 20.9 or newer, e.g. with a version manager',
  npm: 'it comes with Node; on Debian "apt-get install npm"',
  python: 'e.g. "apt-get install python3 python3-pip"',
  cmake: 'e.g. "apt-get install cmake"',
  compiler: 'e.g. "apt-get install g++"',
  make: 'e.g. "apt-get install ninja-build"',
};

/** One sentence for everything that is missing on this machine and how to get it, or null when nothing is. */
export function missingTools() {
  const problems = [];
  const need = (problem, advice) => {
    if (problem !== null) problems.push(`${problem} (${advice})`);
  };
  need(olderThan('Node', process.versions.node, minimum.node), install.node);
  need(which('npm') === null ? 'npm' : null, install.npm);
  need(process.env.SDCPP_SOURCE_DIR || findPython() !== null ? null : 'Python 3 with pip', install.python);
  const cmake = capture('cmake', ['--version']);
  need(cmake === null ? `CMake ${minimum.cmake} or newer` : olderThan('CMake', cmake, minimum.cmake), install.cmake);
  need(compilerProblem(), install.compiler);
  const make = process.platform === 'win32' || which('ninja') !== null || which('make') !== null;
  need(make ? null : 'Ninja or make', install.make);
  return problems.length === 0 ? null : `Missing: ${problems.join('; ')}.`;
}

/** The compiler that CMake would take: `CXX`, else c++, g++ or clang++; on Windows CMake finds Visual Studio itself. */
function compilerProblem() {
  if (process.platform === 'win32') return null;
  for (const name of [process.env.CXX, 'c++', 'g++', 'clang++'].filter(Boolean)) {
    const version = capture(name, ['--version']);
    if (version === null) continue;
    return version.includes('clang')
      ? olderThan('clang++', version, minimum.clangxx)
      : olderThan('g++', capture(name, ['-dumpfullversion']) ?? version, minimum.gxx);
  }
  return 'a C++20 compiler';
}

function olderThan(name, text, least) {
  const [major, minor] = /(\d+)\.(\d+)/.exec(text)?.slice(1).map(Number) ?? [0, 0];
  const [leastMajor, leastMinor] = least.split('.').map(Number);
  if (major > leastMajor || (major === leastMajor && minor >= leastMinor)) return null;
  return `${name} ${least} or newer, found ${major}.${minor}`;
}
