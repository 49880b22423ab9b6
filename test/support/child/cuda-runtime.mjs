// Asks for the backend cuda: `report` of its module, the `error` of a runtime with it, and what `auto` takes then.
import { createRuntime, diagnose } from '../../../dist/index.js';
import { say } from './common.mjs';

const { loaded, reason } = diagnose().backends.find(({ file }) => file.endsWith('libggml-cuda.so')) ?? {};
say({ report: { loaded, reason } });
try {
  const runtime = await createRuntime({ backend: 'cuda' });
  say({ error: { code: 'none', message: runtime.device.name } });
} catch ({ code, message }) {
  say({ error: { code, message } });
}
const runtime = await createRuntime();
say({ auto: runtime.backend });
await runtime.dispose();
