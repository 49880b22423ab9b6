import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { sdCli } from './paths.mjs';
import { runChild } from './processes.mjs';

/** Whether the build has the OpenVINO module. */
export const hasOpenvino = () => existsSync(join(dirname(sdCli), 'libggml-openvino.so'));

/** What a suite reports that measured nothing, and why. */
export const nothing = (why) => ({ compared: why, repeat: 0, rows: [], goals: [] });

export const openvinoNotBuilt = nothing('Not built: node scripts/build.mjs -DND_OPENVINO=ON');

/** children/openvino.mjs in a process of its own. */
export const openvinoChild = (threads, { load, backends, sizes = [], steps = 1, repeat = 0, job }) =>
  runChild(new URL('../children/openvino.mjs', import.meta.url), {
    ...{ threads, request: { load, backends, sizes, steps, repeat, job } },
  });
