import { runChild } from '../tools/processes.mjs';
import { goal, ratioRow, row } from '../tools/shared.mjs';

/** What the way to a process of its own costs a job: calls, events, previews and the picture cross, the weights do not. */
export const isolation = {
  name: 'isolation',
  title: 'an isolated engine against one in this process',
  async run(input, { quick, repeat = quick ? 1 : 7 }) {
    const request = { steps: quick ? 2 : 12, repeat };
    const { here, there } = await runChild(new URL('../children/isolation.mjs', import.meta.url), {
      ...input,
      request,
    });
    const ratio = ratioRow('isolated / in-process', there, here);
    return {
      compared:
        'One process with both runtimes and the same model loaded in each; one job at a time, the sides in turn, the order\n' +
        'turned round every time. 128x128, Euler, guidance 3, a preview after every step. The pixels must be equal.',
      request,
      repeat,
      rows: [row('in-process', 'ms', here), row('isolated', 'ms', there), ratio],
      goals: [goal('isolated / in-process', ratio.median, '<=', 1.03, 'x')],
    };
  },
};
