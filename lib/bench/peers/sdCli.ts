import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, extname, join } from 'node:path';
import { DiffusionError } from '../../errors/index.js';
import type { LoadModelOptions } from '../../sdk/types.js';
import { readPixels } from '../pictures.js';
import { type ProgramOptions, runProgram, type TimedLine } from '../program.js';
import type { BenchRequest, PictureTimes, Side } from '../types.js';
import { sdCliCpu } from './device.js';
import { sdCliFlags, sdCliLoad } from './sdCliFlags.js';

/** One run of sd-cli, from its own log: milliseconds, to 10 ms but for `process` and `load`. */
export interface SdCliTimes extends PictureTimes {
  readonly process: number;
  /** From the first line of loading to the first line after it, as they arrive here. */
  readonly load: number;
  /** The engine's own figure for reading the tensors. */
  readonly tensors: number;
  /** Most resident bytes; 0 unless `watchMemory`. */
  readonly peak: number;
  /** Where it computed; null when its log does not tell. */
  readonly device: string | null;
}

/** What sd-cli is asked for: the model's files and settings, and CPU threads (0: one per physical core). */
export interface SdCliModel {
  readonly load: LoadModelOptions;
  readonly threads: number;
}

function flagsOf({ load, threads }: SdCliModel, request: BenchRequest): string[] {
  const model = { rng: 'cuda' as const, ...sdCliLoad(load), threads: threads === 0 ? -1 : threads };
  return [...sdCliFlags(model, request), '--verbose'];
}

/**
 * Runs sd-cli and takes its times from its own log. `output` is the picture it writes.
 * @throws DiffusionError `ERR_INVALID_OPTION` when it computed elsewhere than on the CPU.
 */
export async function runSdCli(
  program: string,
  model: SdCliModel,
  request: BenchRequest,
  output: string,
  options: ProgramOptions = {},
): Promise<SdCliTimes> {
  const args = [...flagsOf(model, request), '--output', output];
  const { time, lines, peak } = await runProgram(program, args, options);
  const passes = request.hires === undefined ? 1 : 2;
  return {
    process: time,
    load: arrived(program, lines, /running in \S+ mode/) - arrived(program, lines, /loading model from/),
    tensors: logged(program, lines, /loading tensors completed, taking ([\d.]+)s/),
    encode: logged(program, lines, /get_learned_condition completed, taking ([\d.]+)s/),
    sample: logged(program, lines, /sampling completed, taking ([\d.]+)s/, passes),
    decode: logged(program, lines, /decode_first_stage completed, taking ([\d.]+)s/),
    total: logged(program, lines, /generate_image completed in ([\d.]+)s/),
    peak,
    device: sdCliCpu(program, lines),
  };
}

/** The engine's own merge of a LoRA into a model, from the log of sd-cli. */
export interface SdCliMerge extends Pick<SdCliTimes, 'device'> {
  /** Milliseconds. */
  readonly merge: number;
}

/** One merge, in a process of its own. */
export async function runSdCliLora(
  program: string,
  model: SdCliModel,
  request: BenchRequest,
  lora: string,
  options: ProgramOptions = {},
): Promise<SdCliMerge> {
  const folder = await mkdtemp(join(tmpdir(), 'node-diffusion-bench-'));
  try {
    const name = basename(lora, extname(lora));
    const prompt = `${request.prompt} <lora:${name}:1>`;
    const own = ['--lora-model-dir', dirname(lora), '--lora-apply-mode', 'immediately'];
    const args = [...flagsOf(model, { ...request, prompt, steps: 1 }), ...own, '--output', join(folder, 'picture.png')];
    const { lines } = await runProgram(program, args, options);
    const merge = logged(program, lines, /lora '.*' applied, taking ([\d.]+)s/);
    return { merge, device: sdCliCpu(program, lines) };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function arrived(program: string, lines: readonly TimedLine[], pattern: RegExp): number {
  const found = lines.find(({ line }) => pattern.test(line));
  if (found === undefined) throw noLine(program, pattern);
  return found.time;
}

/** Seconds of a log line as milliseconds; of the first `count` lines, one of each pass, their sum. */
function logged(program: string, lines: readonly TimedLine[], pattern: RegExp, count = 1): number {
  const found = lines.map(({ line }) => pattern.exec(line)?.[1]).filter((text) => text !== undefined);
  if (found.length === 0) throw noLine(program, pattern);
  return found.slice(0, count).reduce((sum, text) => sum + Number(text), 0) * 1000;
}

function noLine(program: string, pattern: RegExp): DiffusionError {
  const hint = 'Give the path of sd-cli of stable-diffusion.cpp: npm run build:sd-cli makes one of our engine.';
  return new DiffusionError('ERR_INVALID_OPTION', `${program} logged no line like ${String(pattern)}. ${hint}`, {
    ...{ field: '--compare', given: program, hint },
  });
}

/** What results say of a program that does not know its version: it is known by content. */
export async function sdCliAbout(program: string, signal: AbortSignal): Promise<Record<string, unknown>> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(program, { signal })) hash.update(chunk as Buffer);
  const { lines } = await runProgram(program, ['--version'], { signal });
  return { name: 'sd-cli', version: lines[0]?.line ?? '', sha256: hash.digest('hex') };
}

/** sd-cli, a process for every picture. */
export async function sdCliSide(
  program: string,
  model: SdCliModel,
  signal: AbortSignal,
  watchMemory = false,
): Promise<Side> {
  const about = await sdCliAbout(program, signal);
  const folder = await mkdtemp(join(tmpdir(), 'node-diffusion-bench-'));
  const output = join(folder, 'picture.png');
  return {
    name: 'sd-cli',
    about,
    async picture(request) {
      const { device, ...times } = await runSdCli(program, model, request, output, { signal, watchMemory });
      about.device = device;
      return { ...times, pixels: await readPixels(output) };
    },
    close: () => rm(folder, { recursive: true, force: true }),
  };
}
