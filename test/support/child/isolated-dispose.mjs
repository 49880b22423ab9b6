// Disposes of an idle isolated runtime as the last thing that the module waits for; nothing else keeps the process alive.
import { createRuntime } from '../../../dist/index.js';
import { say } from './common.mjs';

const runtime = await createRuntime({ threads: 1, isolation: 'process' });
say({ engine: runtime.childPid });
await runtime.dispose();
say({ disposed: true });
