import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { root } from './paths.mjs';

// What these benchmarks share with `node-diffusion bench` lives in lib/bench, so that the package has it.
const file = join(root, 'dist', 'bench', 'index.js');
if (!existsSync(file)) {
  process.stderr.write('bench: dist/ is missing: run "npm run build".\n');
  process.exit(2);
}
export const {
  busyWarning,
  describeMachine,
  formatSuite,
  goal,
  interleave,
  makeRecord,
  median,
  missedGoals,
  psnr,
  pythonSide,
  ratioRow,
  readPixels,
  recordText,
  row,
  runFresh,
  runProgram,
  runSdCli: runSdCliOf,
  runSdCliLora: runSdCliLoraOf,
  writeSyntheticLoras,
} = await import(pathToFileURL(file).href);
