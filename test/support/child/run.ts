import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../../..', import.meta.url));

/** A line of JSON that a child wrote (`say` in common.mjs). */
export interface ChildLine {
  readonly [key: string]: unknown;
}

export interface ChildEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly lines: readonly ChildLine[];
  /** What it wrote to standard output and is no line of JSON. */
  readonly noise: string;
  readonly stderr: string;
  /** Milliseconds since the epoch. */
  readonly endedAt: number;
}

export interface ChildOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly nodeOptions?: readonly string[];
  /** Another Node than this one, absolute. */
  readonly program?: string;
  /** Runs as this user; only root can. */
  readonly uid?: number;
  /** Seconds after which it is killed, which shows as signal SIGKILL. */
  readonly limit?: number;
  /** Called with each line as it comes; may send a signal. */
  readonly onLine?: (line: ChildLine, kill: (signal: NodeJS.Signals) => void) => void;
}

/** Runs `node SCRIPT ...ARGS` to its end. The script: absolute, or a name in this folder. */
export function runChild(script: string, args: readonly string[], options: ChildOptions = {}): Promise<ChildEnd> {
  requireDist();
  const path = existsSync(script) ? script : fileURLToPath(new URL(script, import.meta.url));
  const child = spawn(options.program ?? process.execPath, [...(options.nodeOptions ?? []), path, ...args], {
    cwd: options.cwd ?? root,
    env: { ...process.env, NODE_OPTIONS: '', ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(options.uid === undefined ? {} : { uid: options.uid, gid: options.uid }),
  });
  const lines: ChildLine[] = [];
  let noise = '';
  let rest = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    const parts = (rest + text).split('\n');
    rest = parts.pop() ?? '';
    for (const part of parts) {
      const line = parse(part);
      if (line === undefined) noise += `${part}\n`;
      else {
        lines.push(line);
        options.onLine?.(line, (signal) => void child.kill(signal));
      }
    }
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), (options.limit ?? 60) * 1000);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    let endedAt = 0;
    child.on('exit', () => {
      endedAt = Date.now();
    });
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      resolve({ code, signal, lines, noise: noise + rest, stderr, endedAt });
    });
  });
}

/** The value of the first line that has the key. */
export function said(end: ChildEnd, key: string): unknown {
  return end.lines.find((line) => key in line)?.[key];
}

/** Milliseconds from the line that has the key to the end of the process. */
export function sinceLine(end: ChildEnd, key: string): number {
  const at = end.lines.find((line) => key in line)?.at;
  if (typeof at !== 'number') throw new Error(`No line with "${key}" and "at":\n${describeEnd(end)}`);
  return end.endedAt - at;
}

/** What native code writes when a process falls rather than ends. */
export const crashText =
  /terminate called|pure virtual|Segmentation|FATAL ERROR|Assertion|GGML_ASSERT|core dumped|AddressSanitizer/;

export function describeEnd({ code, signal, lines, noise, stderr }: ChildEnd): string {
  return JSON.stringify({ code, signal, lines, noise, stderr: stderr.slice(0, 2000) }, undefined, 1);
}

function parse(text: string): ChildLine | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as ChildLine) : undefined;
  } catch {
    return undefined;
  }
}

/** Children use the compiled package, as its users do. */
function requireDist(): void {
  if (!existsSync(join(root, 'dist', 'index.js'))) throw new Error('There is no dist/: run `npm run build:ts` first.');
}
