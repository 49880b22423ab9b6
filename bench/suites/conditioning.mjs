import { runChild } from '../tools/processes.mjs';
import { goal, row } from '../tools/shared.mjs';

/** `model.encodePrompt` of a prompt that is new, then of the same prompt again, in turn. */
export const conditioning = {
  name: 'conditioning',
  title: 'conditioning cache, hit against miss',
  async run(input, { quick, repeat = quick ? 3 : 15 }) {
    const { misses, hits } = await runChild(new URL('../children/conditioning.mjs', import.meta.url), {
      ...input,
      request: { prompts: repeat },
    });
    const ratio = row(
      'miss / hit',
      'x',
      misses.map((miss, index) => miss / hits[index]),
    );
    return {
      compared: 'One process; each prompt is encoded once (miss) and asked for once more (hit). No negative prompt.',
      repeat,
      rows: [row('miss', 'ms', misses), row('hit', 'ms', hits), ratio],
      goals: [goal('miss / hit', ratio.median, '>=', 50, 'x')],
    };
  },
};
