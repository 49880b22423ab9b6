import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { modelFileFields } from '../../lib/model/index.js';
import { type ChildEnd, type ChildLine, root, runChild } from '../support/child/run.js';
import { loadOptions } from '../support/nativeParams.js';
import { mutate } from './files/mutate.js';
import { Random } from './files/random.js';
import { containers, seeds, write } from './files/seeds.js';
import { fuzzSettings } from './settings.js';

const batch = 250;
// A checkpoint three times as often: it takes the longest way.
const roles = ['checkpoint', 'checkpoint', ...modelFileFields, 'upscaler'] as const;
const extensions = { safetensors: 'safetensors', gguf: 'gguf', zip: 'ckpt', legacy: 'pt' } as const;
/** What a file can be at fault with. A damaged file is no fault of the engine's and takes no memory to speak of. */
const codes = ['ERR_MODEL_CORRUPT', 'ERR_MODEL_UNSUPPORTED', 'ERR_MODEL_NOT_FOUND'];
/** Bytes that a process may hold while it opens small broken files. */
const memory = 1.5 * 2 ** 30;

interface Case {
  readonly id: number;
  readonly path: string;
  readonly role: (typeof roles)[number];
  /** Straight to the addon: nothing that TypeScript checks stands before it. */
  readonly raw: boolean;
  readonly mmap: boolean;
  readonly what: string;
}

interface Outcome {
  readonly ok: boolean;
  readonly typed?: boolean;
  readonly code?: string;
  readonly message?: string;
}

const { seed, cases } = fuzzSettings('Structural fuzz of model files', 2000);
let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'node-diffusion-fuzz-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

/** Case `id` of a seed is always the same, whatever the number of cases. */
async function make(id: number): Promise<Case> {
  const random = new Random(seed + Math.imul(id, 0x9e3779b1));
  const container = random.pick(containers);
  const family = random.pick(seeds);
  const role = family.family.startsWith('upscaler') && random.chance(0.7) ? 'upscaler' : random.pick(roles);
  const { what, bytes } = mutate(random, family, container);
  const path = join(directory, `${String(id)}.${extensions[container]}`);
  await writeFile(path, bytes);
  return {
    id,
    path,
    role,
    raw: random.chance(0.6),
    mmap: random.chance(0.3),
    what: `${family.family} ${container}: ${what}`,
  };
}

/** Keeps the file, and says where. */
async function keep(entry: Case, why: string): Promise<string> {
  const folder = join(root, 'build', 'fuzz-failures');
  await mkdir(folder, { recursive: true });
  const kept = join(folder, `${String(seed)}-${String(entry.id)}-${entry.path.split('/').pop() ?? ''}`);
  await copyFile(entry.path, kept);
  return `case ${String(entry.id)} (${entry.what}; as ${entry.role}${entry.raw ? ', raw' : ''}): ${why}\n  saved as ${kept}`;
}

function faultOf(outcome: Outcome): string | undefined {
  if (outcome.ok || (outcome.typed === true && codes.includes(outcome.code ?? ''))) return undefined;
  return `${outcome.code ?? 'no code'}: ${outcome.message ?? ''}`;
}

async function judge(list: readonly Case[], end: ChildEnd): Promise<string[]> {
  const faults: string[] = [];
  const ended = new Map(
    end.lines.filter((line) => 'end' in line).map((line): [unknown, ChildLine] => [line.end, line]),
  );
  const open = end.lines.findLast((line) => 'begin' in line)?.begin;
  for (const entry of list) {
    const line = ended.get(entry.id);
    if (line === undefined) {
      if (entry.id !== open) continue;
      const how =
        end.signal === 'SIGKILL' ? 'hung or was killed' : `ended the process (${String(end.signal ?? end.code)})`;
      faults.push(await keep(entry, `${how}\n  ${end.stderr.slice(-1500)}`));
      continue;
    }
    for (const part of ['inspected', 'loaded'] as const) {
      const fault = faultOf(line[part] as Outcome);
      if (fault !== undefined) faults.push(await keep(entry, `${part}: ${fault}`));
    }
    if ((line.rss as number) > memory) faults.push(await keep(entry, `holds ${String(line.rss)} bytes`));
  }
  return faults;
}

describe('files that were valid', () => {
  it(`${String(cases)} mutations: a typed error or success, and the process lives`, {
    timeout: 1_800_000,
  }, async () => {
    const valid = join(directory, 'valid.safetensors');
    const [first] = seeds;
    if (first === undefined) throw new Error('No seeds');
    await writeFile(valid, write(first, 'safetensors'));
    const faults: string[] = [];
    let done = 0;
    let successes = 0;
    let loads = 0;
    for (let from = 0; from < cases; from += batch) {
      const all = await Promise.all(Array.from({ length: Math.min(batch, cases - from) }, (_, i) => make(from + i)));
      let list = all;
      // After a crash the rest of the batch goes to another child.
      while (list.length > 0) {
        const file = join(directory, 'list.json');
        await writeFile(file, JSON.stringify({ cases: list, valid, options: loadOptions({}) }));
        const end = await runChild('fuzz-files.mjs', [file, join(root, 'dist')], { limit: 240 });
        faults.push(...(await judge(list, end)));
        const seen = new Set(end.lines.filter((line) => 'begin' in line).map((line) => line.begin));
        if (seen.size === 0) throw new Error(`The child did nothing: ${end.stderr}`);
        successes += end.lines.filter((line) => (line.inspected as Outcome | undefined)?.ok).length;
        loads += end.lines.filter((line) => (line.loaded as Outcome | undefined)?.ok).length;
        done += end.lines.filter((line) => 'end' in line).length;
        list = list.filter(({ id }) => !seen.has(id));
      }
      await Promise.all(all.map(({ path }) => rm(path, { force: true })));
    }
    process.stdout.write(
      `${String(done)} files judged, ${String(successes)} of them still readable, ${String(loads)} loaded, ${String(faults.length)} faults\n`,
    );
    expect(faults.join('\n')).toBe('');
    expect(done).toBe(cases);
    // Mutations that break every file, or none, would test nothing.
    expect(successes / cases).toBeGreaterThan(0.05);
    expect(successes / cases).toBeLessThan(0.8);
    // What lies behind the check of the whole file is reached too.
    expect(loads).toBeGreaterThan(cases / 400);
  });
});
