import { existsSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, relative } from 'node:path';
import { cppFiles } from './cpp.mjs';
import { fingerprint, stamp } from './files.mjs';
import { buildDir, root } from './paths.mjs';
import { run } from './run.mjs';
import { Stop, say } from './say.mjs';

/**
 * Runs clang-tidy on every C++ source of ours that the build knows, two at a time, and resolves with 0 or 1.
 * A file that was clean is not read again until it, one of our headers or the settings change.
 */
export async function clangTidy() {
  const commands = compileCommands();
  const headers = fingerprint([...cppFiles(/\.(h|inl)$/), '.clang-tidy', 'scripts/pins.mjs']);
  const queue = cppFiles(/\.cpp$/).filter((file) => commands.has(file));
  if (queue.length === 0) throw new Stop('clang-tidy found no source in build/compile_commands.json.');
  let failures = 0;
  const work = async () => {
    for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
      const done = stamp(`tidy-${file.replaceAll('/', '-')}`);
      const state = fingerprint([file], { headers, command: commands.get(file) });
      if (done.matches(state)) continue;
      const code = await run('clang-tidy', ['--quiet', '-p', buildDir, file], { allowFailure: true });
      say(`clang-tidy: ${file} ${code === 0 ? 'clean' : 'FAILED'}`);
      if (code === 0) done.write(state);
      else failures++;
    }
  };
  await Promise.all(Array.from({ length: Math.min(2, availableParallelism()) }, work));
  return failures === 0 ? 0 : 1;
}

/** Compile command by file, the file relative to the package. */
function compileCommands() {
  const file = join(buildDir, 'compile_commands.json');
  if (!existsSync(file)) throw new Stop('clang-tidy needs build/compile_commands.json: run "npm run build:native".');
  const list = JSON.parse(readFileSync(file, 'utf8'));
  return new Map(list.map((entry) => [relative(root, entry.file).replaceAll('\\', '/'), entry.command]));
}
