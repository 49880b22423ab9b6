import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { capture } from './run.mjs';
import { root } from './paths.mjs';
import { Stop } from './say.mjs';

const suppressions = (name) => join(root, 'native/test/sanitizers', `${name}.supp`);

/**
 * The sanitizer builds (CMakePresets.json): runtimes to preload into an uninstrumented node, and settings. Reports go to
 * files, because a runtime that is preloaded also speaks for programs whose output nobody reads.
 */
const kinds = {
  asan: {
    runtimes: ['libasan.so', 'libubsan.so'],
    settings: (reports, leaks) => ({
      ASAN_OPTIONS: options({
        log_path: join(reports, 'asan'),
        detect_leaks: leaks ? 1 : 0,
        exitcode: 66,
        // As malloc does: what is too large is refused, and the caller must cope.
        allocator_may_return_null: 1,
        detect_stack_use_after_return: 1,
        strict_string_checks: 1,
        // Freed memory that is kept counts against the limits that tests hold: half of the default.
        quarantine_size_mb: 128,
      }),
      UBSAN_OPTIONS: options({
        log_path: join(reports, 'ubsan'),
        print_stacktrace: 1,
        suppressions: suppressions('ubsan'),
      }),
      LSAN_OPTIONS: options({ suppressions: suppressions('lsan'), print_suppressions: 0, exitcode: 66 }),
    }),
  },
  tsan: {
    runtimes: ['libtsan.so'],
    settings: (reports) => ({
      TSAN_OPTIONS: options({
        log_path: join(reports, 'tsan'),
        suppressions: suppressions('tsan'),
        exitcode: 66,
        second_deadlock_stack: 1,
        history_size: 4,
      }),
    }),
  },
};

function options(values) {
  return Object.entries(values)
    .map(([key, value]) => `${key}=${value}`)
    .join(':');
}

/** Where the preset builds, where its addon lies, and an environment for programs under its runtime. */
export function sanitizer(name) {
  const kind = kinds[name];
  if (kind === undefined) throw new Stop(`no sanitizer build is called "${name}": ${Object.keys(kinds).join(', ')}.`);
  const buildDir = join(root, `build-${name}`);
  const output = join(buildDir, 'RelWithDebInfo');
  const reports = join(buildDir, 'reports');
  return {
    name,
    buildDir,
    reports,
    /** For programs that are linked with the runtime. */
    environment: ({ leaks }) => kind.settings(reports, leaks),
    /** For node, which is not. */
    nodeEnvironment: ({ leaks }) => ({
      ...kind.settings(reports, leaks),
      LD_PRELOAD: kind.runtimes.map(runtimeFile).join(' '),
      NODE_DIFFUSION_BINARY: join(output, 'node-diffusion.node'),
      NODE_DIFFUSION_TEST_SLOWDOWN: '10',
      // One process at a time: under ThreadSanitizer each takes 8 GB.
      NODE_DIFFUSION_TEST_REPEATS: '1',
    }),
    clearReports() {
      rmSync(reports, { recursive: true, force: true });
      mkdirSync(reports, { recursive: true });
    },
    /** What the runtimes wrote, one text for each process that had something to say. */
    readReports: () =>
      readdirSync(reports)
        .filter((file) => /^(asan|ubsan|tsan)\./.test(file))
        .map((file) => readFileSync(join(reports, file), 'utf8'))
        .filter((text) => text.trim() !== ''),
  };
}

function runtimeFile(library) {
  const file = capture(process.env.CC ?? 'cc', [`-print-file-name=${library}`]);
  if (file === null || !file.includes('/')) {
    throw new Stop(`${library} is missing: it comes with the compiler, on Debian "apt-get install g++".`);
  }
  return file;
}
