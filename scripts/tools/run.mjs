import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { root } from './paths.mjs';
import { Stop } from './say.mjs';

const windows = process.platform === 'win32';

/**
 * Runs a program with our standard streams and waits for it.
 * Resolves with the exit code when `allowFailure` is set; otherwise anything but 0 throws, naming `what`.
 * With `onLine` every line of standard output is handed over as well as printed.
 */
export async function run(command, args, { allowFailure = false, cwd = root, env = process.env, onLine, what } = {}) {
  const stdio = ['ignore', onLine === undefined ? 'inherit' : 'pipe', 'inherit'];
  const child = spawn(command, args, { cwd, env, stdio, shell: windows && /\.(cmd|bat)$/.test(command) });
  if (onLine !== undefined) eachLine(child.stdout, onLine);
  // Ctrl-C reaches the child too (same process group); a kill of this script alone must be handed on.
  let interrupted = false;
  const forward = (signal) => {
    interrupted = true;
    child.kill(signal);
  };
  process.once('SIGTERM', forward).once('SIGINT', forward);
  try {
    const code = await new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (exit, signal) => {
        if (interrupted || signal === 'SIGINT') reject(new Stop('interrupted; run the same command to go on.'));
        else resolve(exit ?? 1);
      });
    });
    if (code !== 0 && !allowFailure) {
      throw new Stop(
        `"${what ?? [command, ...args].join(' ')}" ended with exit code ${code}; the lines above say why.`,
      );
    }
    return code;
  } catch (error) {
    if (error.code === 'ENOENT') throw new Stop(`the program "${command}" was not found.`);
    throw error;
  } finally {
    process.removeListener('SIGTERM', forward).removeListener('SIGINT', forward);
  }
}

function eachLine(stream, onLine) {
  let rest = '';
  stream.setEncoding('utf8');
  stream.on('data', (text) => {
    process.stdout.write(text);
    const lines = (rest + text).split('\n');
    rest = lines.pop();
    for (const line of lines) onLine(line);
  });
  stream.on('end', () => {
    if (rest !== '') onLine(rest);
  });
}

/** Output of a program, or null when it is missing or fails. */
export function capture(command, args) {
  const result = spawnSync(command, args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  return result.status === 0 ? result.stdout.trim() : null;
}

/** Absolute path of a program on PATH, or null. */
export function which(name) {
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    for (const extension of windows ? ['.exe', '.cmd', '.bat'] : ['']) {
      const file = join(folder, name + extension);
      if (folder !== '' && existsSync(file)) return file;
    }
  }
  return null;
}

/** Folder of an installed npm package: ours in a checkout, or further up where we are a dependency ourselves; null when there is none. */
function findPackage(name) {
  for (let folder = root; ; folder = dirname(folder)) {
    const candidate = join(folder, 'node_modules', name);
    if (existsSync(join(candidate, 'package.json'))) return candidate;
    if (folder === dirname(folder)) return null;
  }
}

/** Whether Node finds an npm package from here. */
export function isInstalled(name) {
  return findPackage(name) !== null;
}

/** Folder of an installed npm package, which must be there. */
export function packageFolder(name) {
  const folder = findPackage(name);
  if (folder !== null) return folder;
  throw new Stop(`the npm package "${name}" is missing: run "npm ci" in a checkout, else "npm install ${name}".`);
}

/** package.json of an installed npm package. */
export function manifest(name) {
  return JSON.parse(readFileSync(join(packageFolder(name), 'package.json'), 'utf8'));
}

/** Runs a program of an installed npm package with this Node, without npx in between. */
export function runTool(packageName, args, options = {}) {
  const { bin } = manifest(packageName);
  const { tool, ...rest } = options;
  const file = typeof bin === 'string' ? bin : (bin[tool ?? packageName] ?? Object.values(bin)[0]);
  const what = `${tool ?? packageName} ${args[0] ?? ''}`;
  return run(process.execPath, [join(packageFolder(packageName), file), ...args], { what, ...rest });
}
