/** The benchmarks: of the command line, and what those of the repository (`bench/`) share with them. */
export { assertSameMachine, compareRecords, readRecord } from './against.js';
export { chartBytes, checkChartName } from './chart.js';
export { runFresh, systemHost } from './host.js';
export { busyWarning, commits, describeMachine } from './machine.js';
export { comparePictures, psnr, readPixels } from './pictures.js';
export { pythonSide } from './peers/python.js';
export { runSdCli, runSdCliLora } from './peers/sdCli.js';
export { runProgram } from './program.js';
export { type BenchRecord, makeRecord, recordText } from './record.js';
export { runBench } from './run.js';
export { goal, interleave, median, ratioRow, row } from './statistics.js';
export { suites } from './suites.js';
export { writeSyntheticLoras } from './syntheticLora.js';
export { formatSuite, missedGoals } from './table.js';
export {
  benchCommands,
  type BenchCommand,
  type BenchHost,
  type BenchSettings,
  type PeerName,
  peerNames,
  type Size,
} from './types.js';
