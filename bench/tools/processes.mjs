import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { root, sdCli } from './paths.mjs';

/**
 * Runs a program to its end. `lines` are those of standard output with the time each arrived; all times are
 * milliseconds since just before the start.
 */
function runProgram(file, args) {
  return new Promise((resolve, reject) => {
    const start = performance.now();
    const child = spawn(file, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
    const lines = [];
    let open = '';
    let errors = '';
    child.stdout.setEncoding('utf8').on('data', (text) => {
      const time = performance.now() - start;
      const parts = (open + text).split(/[\r\n]+/);
      open = parts.pop();
      for (const line of parts) lines.push({ time, line });
    });
    child.stderr.setEncoding('utf8').on('data', (text) => {
      errors += text;
    });
    child.once('error', reject);
    child.once('close', (code, signal) => {
      const time = performance.now() - start;
      if (open !== '') lines.push({ time, line: open });
      if (code === 0) resolve({ time, lines });
      else reject(new Error(`${file} ended with ${signal ?? code}: ${errors.trim().slice(-2000)}`));
    });
  });
}

/** Runs a script (a file: URL) in a fresh process; its last line of standard output is its result as JSON. */
export async function runChild(script, request) {
  const { time, lines } = await runProgram(process.execPath, [fileURLToPath(script), JSON.stringify(request)]);
  return { ...JSON.parse(lines.at(-1).line), process: time };
}

/** Runs sd-cli and takes its times from its own log; in milliseconds. `output` is the picture it writes. */
export async function runSdCli(input, request, output) {
  const { prompt, negativePrompt, seed, steps, width, height, cfgScale, sampler, schedule } = request;
  const { time, lines } = await runProgram(sdCli, [
    ...['--model', input.checkpoint, '--taesd', input.taesd],
    ...['--prompt', prompt, '--negative-prompt', negativePrompt, '--seed', String(seed), '--steps', String(steps)],
    ...['--width', String(width), '--height', String(height), '--cfg-scale', String(cfgScale)],
    ...['--sampling-method', sampler, '--scheduler', schedule, '--rng', 'cuda'],
    ...['--threads', input.threads === 0 ? '-1' : String(input.threads)],
    ...(request.hires === undefined ? [] : hiresFlags(request.hires)),
    ...['--output', output, '--verbose'],
  ]);
  const arrived = (pattern) => {
    const found = lines.find(({ line }) => pattern.test(line));
    if (found === undefined) throw new Error(`sd-cli logged no line like ${pattern}`);
    return found.time;
  };
  const logged = (pattern) => {
    const found = lines.map(({ line }) => pattern.exec(line)).find((match) => match !== null);
    if (found === undefined) throw new Error(`sd-cli logged no line like ${pattern}`);
    return Number(found[1]) * 1000;
  };
  return {
    process: time,
    /** From the first line of loading to the first line after it, as they arrived here. */
    load: arrived(/running in \S+ mode/) - arrived(/loading model from/),
    /** The engine's own figure for reading the tensors, to 10 ms. */
    tensors: logged(/loading tensors completed, taking ([\d.]+)s/),
    /** To 10 ms each. */
    encode: logged(/get_learned_condition completed, taking ([\d.]+)s/),
    sample: logged(/sampling completed, taking ([\d.]+)s/),
    decode: logged(/decode_first_stage completed, taking ([\d.]+)s/),
    generate: logged(/generate_image completed in ([\d.]+)s/),
  };
}

function hiresFlags({ scale, upscaler, steps, denoisingStrength }) {
  return [
    ...['--hires', '--hires-scale', String(scale), '--hires-upscaler', upscaler],
    ...['--hires-steps', String(steps), '--hires-denoising-strength', String(denoisingStrength)],
  ];
}

/** The engine's own merge of the first LoRA, in milliseconds, from its log. */
export async function runSdCliLora({ threads }, { checkpoint }, folder) {
  const { lines } = await runProgram(sdCli, [
    ...['--model', checkpoint, '--lora-model-dir', folder, '--lora-apply-mode', 'immediately', '--mmap'],
    ...[
      '--prompt',
      'a <lora:lora1:1>',
      '--seed',
      '1',
      '--steps',
      '1',
      '--width',
      '64',
      '--height',
      '64',
      '--cfg-scale',
      '1',
    ],
    ...['--threads', threads === 0 ? '-1' : String(threads), '--output', join(folder, 'sd-cli.png'), '--verbose'],
  ]);
  const found = lines
    .map(({ line }) => /lora '.*' applied, taking ([\d.]+)s/.exec(line))
    .find((match) => match !== null);
  if (found === undefined) throw new Error('sd-cli logged no merge of a LoRA');
  return Number(found[1]) * 1000;
}
