import { goal, pythonSide, ratioRow, row } from './shared.mjs';
import { runChild } from './processes.mjs';

/**
 * The same network converted from PyTorch and run by OpenVINO's own Python API (bench/peers), in turn with a process of
 * ours for each of its pictures.
 */
export async function peerRows({ threads }, { sd1, openvinoPython, quick, repeat = quick ? 1 : 3 }, rows, goals) {
  const { signal } = new AbortController();
  const peer = await pythonSide('openvino-python', openvinoPython, { checkpoint: sd1, threads }, signal, false);
  try {
    for (const side of quick ? [64] : [256, 512]) {
      const steps = quick ? 1 : 2;
      const request = {
        prompt: 'a red apple',
        negativePrompt: '',
        width: side,
        height: side,
        steps,
        cfgScale: 1,
        seed: 1,
      };
      // The first compiles.
      await peer.picture(request);
      const mine = { step: [], decode: [] };
      const theirs = { step: [], decode: [] };
      for (let turn = 0; turn < repeat; turn++) {
        const times = await peer.picture(request);
        theirs.step.push(times.sample / steps);
        theirs.decode.push(times.decode);
        const ours = await runChild(new URL('../children/openvino.mjs', import.meta.url), {
          threads,
          request: { load: { checkpoint: sd1 }, backends: ['openvino'], sizes: [side], steps, repeat: 1 },
        });
        const [run] = ours.sizes[side].runs.openvino;
        mine.step.push(run.step);
        mine.decode.push(run.decode);
      }
      report(side, mine, theirs, rows, goals);
    }
  } finally {
    await peer.close();
  }
}

function report(side, mine, theirs, rows, goals) {
  for (const [part, what] of Object.entries({ step: 'UNet evaluation', decode: 'VAE decode (KL decoder)' })) {
    const ratio = ratioRow(`SD 1.5, ${side}: ${what}, ours / OpenVINO's Python API`, mine[part], theirs[part]);
    rows.push(row(`SD 1.5, ${side}: ${what}, OpenVINO's Python API`, 'ms', theirs[part]), ratio);
    goals.push(goal(ratio.name, ratio.median, '<=', 1.05, 'x'));
  }
}
