import { fileURLToPath } from 'node:url';
import { sdCli } from './paths.mjs';
import { runFresh, runProgram, runSdCliLoraOf, runSdCliOf } from './shared.mjs';

/** Runs a script (a file: URL) in a fresh process; its last line of standard output is its result as JSON. */
export async function runChild(script, request) {
  const { time, lines } = await runProgram(process.execPath, [fileURLToPath(script), JSON.stringify(request)]);
  return { ...JSON.parse(lines.at(-1).line), process: time };
}

/** A load, and a picture if asked for, in a fresh process of ours; in milliseconds. */
export async function runOurs({ checkpoint, taesd, threads }, request, output) {
  const job = { runtime: { backend: 'cpu', threads }, load: { checkpoint, taesd } };
  const { times, ...rest } = await runFresh(request === undefined ? job : { ...job, request, output });
  return { ...rest, ...times };
}

/** The same with sd-cli of our build; times are of its own log. */
export function runSdCli({ checkpoint, taesd, threads }, request, output) {
  return runSdCliOf(sdCli, { load: { checkpoint, taesd }, threads }, request, output);
}

/** The engine's own merge of a LoRA, in milliseconds. */
export function runSdCliLora({ threads }, { checkpoint, lora }) {
  const request = {
    ...{ prompt: 'a', negativePrompt: '', seed: 1, width: 64, height: 64, steps: 1, cfgScale: 1 },
    ...{ sampler: 'euler', schedule: 'discrete' },
  };
  return runSdCliLoraOf(sdCli, { load: { checkpoint, mmap: true }, threads }, request, lora);
}
