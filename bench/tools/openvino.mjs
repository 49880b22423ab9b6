import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { sdCli } from './paths.mjs';

/** Whether the build has the OpenVINO module. */
export const hasOpenvino = () => existsSync(join(dirname(sdCli), 'libggml-openvino.so'));

/** What a suite reports where it has not. */
export const openvinoNotBuilt = {
  compared: 'Not built: node scripts/build.mjs -DND_OPENVINO=ON',
  ...{ repeat: 0, rows: [], goals: [] },
};
