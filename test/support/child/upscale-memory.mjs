// Estimates enlargements, makes them, and tells both numbers: `node upscale-memory.mjs JSON`, with { runtime, load,
// sizes }. Peaks are the kernel's (VmHWM, set back before each job).
import { createHash } from 'node:crypto';
import { createRuntime } from '../../../dist/index.js';
import { memory, paint, resetPeak, say } from './common.mjs';

const { runtime: options = {}, load, sizes } = JSON.parse(process.argv[2] ?? '{}');

const refusal = ({ code, message, given }) => ({ refused: code, message, given });

const runtime = await createRuntime({ backend: 'cpu', threads: 1, ...options });
// sharp is loaded and a picture is read, which is no part of an enlargement.
paint([64, 64]);
const start = memory('VmRSS');
resetPeak();
const upscaler = await runtime.loadUpscaler(load).catch((error) => {
  say({ load: { ...refusal(error), peak: memory('VmHWM') - start } });
});
if (upscaler !== undefined) {
  const loaded = memory('VmRSS');
  say({ load: { bytes: upscaler.bytes, level: loaded - start, peak: memory('VmHWM') - start } });
  for (const size of sizes) {
    const image = paint(size);
    const estimate = await upscaler.estimate({ image });
    const before = memory('VmRSS');
    resetPeak();
    try {
      const { data } = await upscaler.upscale({ image });
      const peak = memory('VmHWM');
      const hash = createHash('sha256').update(data).digest('hex');
      say({ job: { estimate, sinceLoad: peak - loaded, sinceStart: peak - start, hash } });
    } catch (error) {
      say({ job: { estimate, measured: memory('VmHWM') - before, ...refusal(error) } });
    }
  }
}
await runtime.dispose();
