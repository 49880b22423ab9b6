// What the children share. They are plain JavaScript and use the compiled package: no loader stands between them and Node.
import { writeSync } from 'node:fs';
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
