// Ends the process in a way, some milliseconds after OpenVINO began to compile a graph or to read one ahead:
// `node openvino-exit.mjs WAY MS FILES`; the way `whole` makes a picture, which fills the disk cache.
import { createRuntime } from '../../../dist/index.js';
import { say } from './common.mjs';

const [way, ms, files] = process.argv.slice(2);
let begun = false;
const logger = (_level, line) => {
  const [, doing] = /openvino: (compiling|reading a graph ahead)/.exec(line) ?? [];
  if (doing === undefined || begun) return;
  begun = true;
  say({ doing });
  if (way !== 'whole') setTimeout(() => process[way](3), Number(ms));
};
const runtime = await createRuntime({
  ...{ backend: 'openvino', threads: 1, openvino: { diskCache: true }, logger, logLevel: 'info' },
});
const model = await runtime.loadModel(JSON.parse(files));
await model.txt2img({ prompt: 'a red apple', width: 64, height: 64, steps: 2, cfgScale: 1, seed: 1 });
if (way === 'whole') await runtime.dispose();
else await new Promise(() => undefined);
