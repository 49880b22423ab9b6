import { pathToFileURL } from 'node:url';

/** An error whose message is all that a person needs: it is printed without a stack. */
export class Stop extends Error {}

/** Prints one progress line. */
export function say(text) {
  process.stdout.write(`[node-diffusion] ${text}\n`);
}

/** Seconds since `start` (from `performance.now()`), for progress lines. */
export function since(start) {
  return `${((performance.now() - start) / 1000).toFixed(1)} s`;
}

/** Runs `main` when `url` is the script that Node was started with, and turns what it throws into an exit code. */
export function entry(url, main) {
  if (process.argv[1] === undefined || pathToFileURL(process.argv[1]).href !== url) return;
  main(process.argv.slice(2)).then(
    (code) => {
      process.exitCode = code ?? 0;
    },
    (error) => {
      process.stderr.write(`node-diffusion: ${error instanceof Stop ? error.message : error.stack}\n`);
      process.exitCode = 1;
    },
  );
}
