#!/usr/bin/env node
/**
 * `npm run bench`: measures the addon against sd-cli of the same build, and what the package promises by itself.
 * What each suite compares is written in its file and in bench/README.md.
 */
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { conditioning } from './suites/conditioning.mjs';
import { engine } from './suites/engine.mjs';
import { eventLoop } from './suites/event-loop.mjs';
import { hires } from './suites/hires.mjs';
import { isolation } from './suites/isolation.mjs';
import { load } from './suites/load.mjs';
import { lora } from './suites/lora.mjs';
import { openvino } from './suites/openvino.mjs';
import { openvinoPython } from './suites/openvino-python.mjs';
import { openvinoStart } from './suites/openvino-start.mjs';
import { startup } from './suites/startup.mjs';
import { prepare } from './tools/input.mjs';
import { readOptions, usage } from './tools/options.mjs';
import { benchDir } from './tools/paths.mjs';
import { busyWarning, describeMachine, formatSuite, makeRecord, missedGoals, recordText } from './tools/shared.mjs';

const suites = [
  engine,
  startup,
  eventLoop,
  load,
  conditioning,
  isolation,
  lora,
  hires,
  openvino,
  openvinoPython,
  openvinoStart,
];

async function main() {
  const options = readOptions(process.argv.slice(2), suites);
  if (options.help) {
    process.stdout.write(usage(suites));
    return;
  }
  const machine = describeMachine();
  const busy = busyWarning(machine);
  if (busy !== '') process.stderr.write(`${busy}\n`);
  const input = await prepare(options);
  const chosen = suites.filter(({ name }) => options.suites.includes(name));
  const { versions, cpuFeatures } = input;
  const { threads, quick } = options;
  const file = options.output ?? (quick ? undefined : join(benchDir, 'results', `${day()}-${machine.id}.json`));
  if (file !== undefined) mkdirSync(dirname(file), { recursive: true });
  const results = [];
  for (const suite of chosen) {
    process.stderr.write(`${suite.name}: ${suite.title}\n`);
    const result = { name: suite.name, title: suite.title, ...(await suite.run(input, options)) };
    results.push(result);
    process.stdout.write(`${formatSuite(result)}\n`);
    if (file === undefined) continue;
    // After each suite: one that fails loses neither the figures of those before it nor an older record.
    const record = { ...makeRecord({ machine, versions, cpuFeatures, threads, suites: results }), quick };
    writeFileSync(`${file}.partial`, recordText(record));
  }
  if (file === undefined) process.stdout.write('A quick run is not recorded; --output FILE writes it.\n');
  else {
    renameSync(`${file}.partial`, file);
    process.stdout.write(`Written: ${relative(process.cwd(), file)}\n`);
  }
  const missed = missedGoals(results);
  for (const { suite, goal } of missed) process.stdout.write(`${suite}: ${goal}\n`);
  if (options.check && missed.length > 0) process.exitCode = 1;
}

function day() {
  return new Date().toISOString().slice(0, 10);
}

main().catch((error) => {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 2;
});
