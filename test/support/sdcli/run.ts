import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { loadAddon } from '../../../lib/native/index.js';

/** sd-cli beside the addon in use, so that both share the ggml libraries. Throws when it was not built. */
export function sdCliPath(): string {
  const path = join(dirname(loadAddon().path), process.platform === 'win32' ? 'sd-cli.exe' : 'sd-cli');
  if (!existsSync(path)) throw new Error(`${path} does not exist. Build it: npm run build:sd-cli`);
  return path;
}

export interface SdCliRun {
  readonly seconds: number;
  /** Standard output and error. */
  readonly log: string;
}

/** Runs sd-cli; rejects with the end of its log when it fails. */
export async function runSdCli(args: readonly string[]): Promise<SdCliRun> {
  const started = performance.now();
  const child = spawn(sdCliPath(), args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let log = '';
  const keep = (chunk: string): void => {
    log += chunk;
  };
  child.stdout.setEncoding('utf8').on('data', keep);
  child.stderr.setEncoding('utf8').on('data', keep);
  const [code, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (...how) => {
      resolve(how);
    });
  });
  if (code !== 0) {
    // Progress bars rewrite their line; only the lines that stay are worth reading.
    const lines = log.split('\n').filter((line) => !line.includes('\r') && line.trim() !== '');
    throw new Error(
      `sd-cli ended with ${String(code ?? signal)}:\n${lines.slice(-15).join('\n')}\nsd-cli ${args.join(' ')}`,
    );
  }
  return { seconds: (performance.now() - started) / 1000, log };
}
