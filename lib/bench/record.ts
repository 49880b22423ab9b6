import type { Versions } from '../sdk/types.js';
import { type Commits, commits, type Machine } from './machine.js';
import type { Goal, Row } from './statistics.js';

/** What a suite measured. */
export interface SuiteResult {
  readonly name: string;
  readonly title: string;
  /** What was compared with what, and how, in sentences. */
  readonly compared: string;
  /** Turns that count, and turns before them that do not. */
  readonly repeat: number;
  readonly warmup?: number;
  readonly rows: readonly Row[];
  readonly goals: readonly Goal[];
  /** What the figures depend on beside machine and versions: two results with other settings do not compare. */
  readonly settings?: Readonly<Record<string, unknown>>;
  /** What a reader has to know: are the pictures equal? */
  readonly notes?: readonly string[];
  /** The other program: its name and versions. */
  readonly peer?: Readonly<Record<string, unknown>>;
}

export const recordFormat = 'node-diffusion-bench/1';

/** A run as it is written to a file. */
export interface BenchRecord {
  readonly format: typeof recordFormat;
  /** ISO 8601. */
  readonly date: string;
  readonly machine: Machine;
  readonly node: string;
  readonly package: string;
  readonly commits: Commits;
  readonly compiler: string;
  /** Instruction sets in use on the CPU. */
  readonly cpuFeatures: readonly string[];
  readonly threads: number | string;
  readonly suites: readonly SuiteResult[];
}

export interface RecordSources {
  readonly machine: Machine;
  readonly versions: Versions;
  readonly cpuFeatures: readonly string[];
  /** 0: one per physical core. */
  readonly threads: number;
  readonly suites: readonly SuiteResult[];
}

export function makeRecord(sources: RecordSources): BenchRecord {
  const { machine, versions, cpuFeatures, threads, suites } = sources;
  return {
    format: recordFormat,
    date: new Date().toISOString(),
    machine,
    node: process.version,
    package: versions.package,
    commits: commits(versions),
    compiler: versions.compiler,
    cpuFeatures,
    threads: threads === 0 ? 'one per physical core' : threads,
    suites,
  };
}

export function recordText(record: BenchRecord): string {
  return `${JSON.stringify(record, undefined, 2)}\n`;
}
