/**
 * `node probe-child.js ADDON MODULE`: loads one backend module and asks for its devices, then for what the library behind it
 * tells, which may start more drivers. A driver that ends processes ends this one, and `doctor` (probe.ts) sees it. Each
 * answer is a line.
 */
import { writeSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { modulesOf } from '../native/backends.js';
import type { NativeAddon } from '../native/contract.js';
import { librariesLine, usableLine } from './probeLines.js';

const [binary = '', module = ''] = process.argv.slice(2);
const addon = createRequire(binary)(binary) as NativeAddon;
addon.guardEngineProcess();
const folder = dirname(module);
const others = modulesOf(folder).filter((file) => file !== module);
addon.loadBackends(folder, others);
addon.devices();
writeSync(1, `\n${usableLine}\n`);
writeSync(1, `\n${librariesLine}${JSON.stringify({ openvino: addon.describeBackend('openvino') })}\n`);
