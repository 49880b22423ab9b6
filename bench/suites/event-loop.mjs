import { runChild } from '../tools/processes.mjs';
import { goal, row } from '../tools/shared.mjs';

/**
 * How long the event loop of a process that generates makes others wait. All physical cores compute at that time. The
 * histogram holds the time between two firings of a timer, so an idle loop shows about the resolution, not 0.
 */
export const eventLoop = {
  name: 'event-loop',
  title: 'event-loop delay while generating',
  async run(input, { quick, repeat = quick ? 1 : 5 }) {
    const request = { steps: quick ? 4 : 10, resolution: 1 };
    const runs = [];
    for (let turn = 0; turn < repeat; turn++)
      runs.push(await runChild(new URL('../children/event-loop.mjs', import.meta.url), { ...input, request }));
    const values = (phase, key) => runs.map((run) => run[phase][key]);
    const p99 = row('generating p99', 'ms', values('busy', 'p99'));
    return {
      compared:
        'perf_hooks.monitorEventLoopDelay, resolution 1 ms, which is part of each figure. Progress and preview listeners\n' +
        'are on. idle: the same process with the model loaded and nothing to do.',
      request,
      repeat,
      rows: [
        row('generating p50', 'ms', values('busy', 'p50')),
        p99,
        row('generating max', 'ms', values('busy', 'max')),
        row('idle p50', 'ms', values('idle', 'p50')),
        row('idle p99', 'ms', values('idle', 'p99')),
      ],
      goals: [goal('p99 while generating', p99.median, '<=', 20, 'ms')],
    };
  },
};
