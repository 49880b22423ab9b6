import { readFileSync, writeFileSync } from 'node:fs';
import { createRuntime } from 'node-diffusion';

// Load, merge, change, restore, and go back to a set that was kept; in milliseconds, memory in bytes.
const { checkpoint, loras, threads, repeat, cacheBytes } = JSON.parse(process.argv[2]);
const runtime = await createRuntime({ backend: 'cpu', threads });
const start = performance.now();
const model = await runtime.loadModel({ checkpoint, loraCacheBytes: cacheBytes, mmap: true });
const load = performance.now() - start;
const [one, other] = loras.map((path) => [{ path }]);
const digest = async () => (await model.weightsDigest()).sha256;
const before = await digest();
const times = { merge: [], change: [], restore: [], same: [], copied: [] };

async function timed(list, set) {
  const begun = performance.now();
  const report = await model.loras.set(set);
  list.push(performance.now() - begun);
  return report;
}

/** The largest resident size since the last call, above the one at that time. */
function peak() {
  const status = readFileSync('/proc/self/status', 'utf8');
  const bytes = (name) => Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(status)[1]) * 1024;
  return { highest: bytes('VmHWM'), now: bytes('VmRSS') };
}

writeFileSync('/proc/self/clear_refs', '5');
const resting = peak().now;
for (let turn = 0; turn < repeat; turn++) {
  await timed(times.merge, one);
  await timed(times.same, one);
  await timed(times.change, other);
  await timed(times.restore, []);
}
const extra = peak().highest - resting;
const modules = (await model.loras.set(one)).tensors;
if (cacheBytes > 0) {
  for (let turn = 0; turn < repeat; turn++) {
    await model.loras.set([]);
    const report = await timed(times.copied, one);
    if (report.copied !== modules) throw new Error(`${report.copied} of ${modules} tensors were copied`);
  }
}
await model.loras.set([]);
if ((await digest()) !== before) throw new Error('The weights are not the original bytes.');
await runtime.dispose();
console.log(JSON.stringify({ load, ...times, extra, modules }));
