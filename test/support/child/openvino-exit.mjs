// Ends the process in a way, some milliseconds after a load and a picture were begun with OpenVINO and its disk cache:
// `node openvino-exit.mjs WAY MS FILES`.
import { createRuntime } from '../../../dist/index.js';
import { say } from './common.mjs';

const [way, ms, files] = process.argv.slice(2);
const logger = (_level, line) => {
  if (/openvino: compiling/.test(line)) say({ compiling: true });
};
const runtime = await createRuntime({
  ...{ backend: 'openvino', threads: 1, openvino: { diskCache: true }, logger, logLevel: 'info' },
});
const work = runtime
  .loadModel(JSON.parse(files))
  .then((model) => model.txt2img({ prompt: 'a red apple', width: 64, height: 64, steps: 2, cfgScale: 1, seed: 1 }));
if (way === 'whole') {
  await work;
  await runtime.dispose();
} else {
  work.catch(() => undefined);
  setTimeout(() => process[way](3), Number(ms));
}
