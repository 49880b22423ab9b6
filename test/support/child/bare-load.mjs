// The addon by itself, without the compiled package above it: `node bare-load.mjs BINARY OPTIONS`, OPTIONS for loadModel as JSON. It
// loads the backend modules of its folder and then a model.
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { say } from './common.mjs';

const [binary, options] = process.argv.slice(2);
const addon = createRequire(import.meta.url)(binary);
const backends = addon.loadBackends(dirname(binary));
const devices = addon.devices().map(({ name }) => name);
const load = async () => void (await addon.loadModel(JSON.parse(options), null).promise);
const problem = await load().catch((error) => String(error.message));
say({ backends, devices, problem: problem ?? null, after: addon.devices().map(({ name }) => name) });
