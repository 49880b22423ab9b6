import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { sdCli } from './paths.mjs';

/** Whether the build has the OpenVINO module. */
export const hasOpenvino = () => existsSync(join(dirname(sdCli), 'libggml-openvino.so'));

/** What a suite reports that measured nothing, and why. */
export const nothing = (why) => ({ compared: why, repeat: 0, rows: [], goals: [] });

export const openvinoNotBuilt = nothing('Not built: node scripts/build.mjs -DND_OPENVINO=ON');
