import { runChild } from '../tools/processes.mjs';
import { goal, row } from '../tools/shared.mjs';

/** From `import('node-diffusion')` to a runtime that can load models: JavaScript, the addon, the backend modules. */
export const startup = {
  name: 'startup',
  title: "import('node-diffusion') to a runtime that is ready",
  async run(_input, { quick, repeat = quick ? 3 : 15 }) {
    await runChild(new URL('../children/startup.mjs', import.meta.url), {}); // the page cache
    const runs = [];
    for (let turn = 0; turn < repeat; turn++)
      runs.push(await runChild(new URL('../children/startup.mjs', import.meta.url), {}));
    const ready = row(
      'ready',
      'ms',
      runs.map((run) => run.imported + run.created),
    );
    return {
      compared: 'A fresh process each time, files in the page cache. The start of Node itself is not counted.',
      repeat,
      rows: [
        row(
          'import',
          'ms',
          runs.map((run) => run.imported),
        ),
        row(
          'createRuntime',
          'ms',
          runs.map((run) => run.created),
        ),
        ready,
        row(
          'whole process',
          'ms',
          runs.map((run) => run.process),
        ),
      ],
      goals: [goal('ready', ready.median, '<=', 100, 'ms')],
    };
  },
};
