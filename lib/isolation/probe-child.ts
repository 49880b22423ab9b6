/**
 * `node probe-child.js ADDON MODULE`: loads one backend module and asks for its devices. A driver that ends processes
 * ends this one, and `doctor` (probe.ts) sees it.
 */
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { modulesOf } from '../native/backends.js';
import type { NativeAddon } from '../native/contract.js';

const [binary = '', module = ''] = process.argv.slice(2);
const addon = createRequire(binary)(binary) as NativeAddon;
addon.guardEngineProcess();
const folder = dirname(module);
const others = modulesOf(folder).filter((file) => file !== module);
addon.loadBackends(folder, others);
addon.devices();
