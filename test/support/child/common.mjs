// What the children share. They are plain JavaScript and use the compiled package: no loader stands between them and Node.
import { readFileSync, writeFileSync, writeSync } from 'node:fs';
import { setInterval } from 'node:timers';

/** Size of every picture. */
export const fits = { width: 64, height: 64 };

/** Loads fast and shares its memory with other processes. */
export function mapped({ checkpoint, taesd }) {
  return { checkpoint, taesd, mmap: true };
}

/** A line for the parent, written at once: nothing is lost when the process dies right after. */
export function say(line) {
  writeSync(1, `${JSON.stringify(line)}\n`);
}

/** `seen` resolves with the first event of the phase that has come to the step. */
export function firstEvent(phase, step) {
  let found = () => undefined;
  const seen = new Promise((resolve) => {
    found = resolve;
  });
  const onProgress = (event) => {
    if (event.phase === phase && event.step >= step) found(event);
  };
  return { seen, onProgress };
}

/** Keeps the process alive until something ends it. */
export function waitForever() {
  setInterval(() => undefined, 1 << 30);
}

/** Bytes of this process by a key of its status: `VmRSS`, `VmHWM`. */
export function memory(key) {
  const match = new RegExp(`^${key}:\\s+(\\d+) kB`, 'm').exec(readFileSync('/proc/self/status', 'utf8'));
  return Number(match?.[1] ?? NaN) * 1024;
}

/** Lets `VmHWM` begin anew with what is resident now. */
export const resetPeak = () => writeFileSync('/proc/self/clear_refs', '5');

/** A picture that differs everywhere. */
export function paint([width, height]) {
  const data = new Uint8Array(width * height * 3).map((_, i) => (i * 7 + (i >> 8)) % 256);
  return { width, height, channels: 3, data };
}
