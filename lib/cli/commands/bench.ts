import {
  assertSameMachine,
  benchCommands,
  type BenchCommand,
  type BenchRecord,
  type BenchSettings,
  busyWarning,
  chartBytes,
  checkChartName,
  compareRecords,
  describeMachine,
  formatSuite,
  type PeerName,
  readRecord,
  recordText,
  runBench,
  type Size,
} from '../../bench/index.js';
import type { DiffusionError } from '../../errors/index.js';
import { writeFileAtomic } from '../../image/index.js';
import { didYouMean, nearest, resolveSampler, resolveSchedule } from '../../options/index.js';
import { checkRequest } from '../check-request.js';
import { collect } from '../collect.js';
import type { CliContext } from '../context.js';
import { checkFolder } from '../output-names.js';
import type { ParsedArgs } from '../parse.js';
import { usageError } from '../usage-error.js';
import type { CommandRun } from './command.js';

/** Options of `bench` that are the program's own. */
interface BenchOptions {
  readonly sizes?: readonly Size[];
  readonly repeat?: number;
  readonly warmup?: number;
  readonly loras?: readonly string[];
  readonly backends?: readonly string[];
  readonly compare?: { readonly value: PeerName; readonly operand: string };
  readonly json?: string;
  readonly chart?: string;
  readonly against?: string;
  readonly quiet?: boolean;
}

/** `node-diffusion bench`. */
export const bench: CommandRun = async (parsed, context) => {
  const signal = context.interrupt();
  const options: BenchOptions = collect(parsed, 'cli');
  const { json, chart, against } = options;
  const [first, ...more] = parsed.operands;
  if (first === undefined) throw usageError('BENCHMARK', 'bench needs a benchmark.', known);
  if (more.length > 0) throw usageError('BENCHMARK', `One benchmark expected, got ${parsed.operands.join(' ')}.`);
  const command = benchCommands.find((name) => name === first);
  if (command === undefined && !first.endsWith('.json')) throw unknownBenchmark(first);
  if (json !== undefined) await checkFolder(json, '--json');
  if (chart !== undefined) {
    checkChartName(chart);
    await checkFolder(chart, '--chart');
  }
  const before = against === undefined ? undefined : await readRecord(against);
  const record =
    command === undefined
      ? await readRecord(first, 'BENCHMARK')
      : await measure(settingsOf(command, parsed, options), before, context, options.quiet === true, signal);
  for (const suite of record.suites) context.stdout.write(`${formatSuite(suite)}\n`);
  if (json !== undefined) await writeFileAtomic(json, Buffer.from(recordText(record)), signal);
  if (chart !== undefined) await writeFileAtomic(chart, await chartBytes(record, chart), signal);
  if (before !== undefined) context.stdout.write(`\n${compareRecords(before, record)}`);
  return 0;
};

const known = `Benchmarks: ${benchCommands.join(', ')}.`;

function unknownBenchmark(name: string): DiffusionError {
  const meant = didYouMean(nearest(name, benchCommands));
  return usageError('BENCHMARK', `Unknown benchmark "${name}".`, meant ?? known);
}

function settingsOf(command: BenchCommand, parsed: ParsedArgs, options: BenchOptions): BenchSettings {
  const { sizes, repeat, warmup, loras, backends, compare } = options;
  const { sampler: samplerName, schedule: scheduleName, ...request } = collect(parsed, 'request');
  const chosen = typeof samplerName === 'string' ? resolveSampler(samplerName) : {};
  const schedule = typeof scheduleName === 'string' ? resolveSchedule(scheduleName) : undefined;
  const asked = { ...request, ...chosen, ...(schedule === undefined ? {} : { schedule }) };
  for (const [option, of] of [['loras', 'lora'] as const, ['backends', 'backends'] as const]) {
    if (options[option] !== undefined && command !== of) {
      throw usageError(`--${option}`, `--${option === 'loras' ? 'lora' : option} belongs to the benchmark ${of}.`);
    }
  }
  if ('hires' in asked && command !== 'hires') throw usageError('--hires', '--hires belongs to the benchmark hires.');
  // By the API's rules, before a model is loaded. The prompt has a default here.
  for (const size of sizes ?? [{}]) checkRequest('txt2img', { prompt: 'a red apple', ...asked, ...size });
  const given = { sizes, repeat, warmup, loras, backends };
  return {
    command,
    runtime: collect(parsed, 'runtime'),
    load: collect(parsed, 'model'),
    request: asked,
    ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
    ...(compare === undefined ? {} : { compare: { peer: compare.value, path: compare.operand } }),
  };
}

async function measure(
  settings: BenchSettings,
  before: BenchRecord | undefined,
  context: CliContext,
  quiet: boolean,
  signal: AbortSignal,
): Promise<BenchRecord> {
  const machine = describeMachine();
  // Not after the measuring, which may take an hour.
  if (before !== undefined) assertSameMachine(before, { machine });
  const note = (text: string): void => {
    if (text !== '') context.stderr.write(`node-diffusion: ${text}\n`);
  };
  note(busyWarning(machine));
  const say = (text: string): void => {
    if (!quiet) context.stderr.write(`  ${text}\n`);
  };
  return runBench(settings, { host: await context.benchHost(), machine, signal, say });
}
