import type { Inform } from './informer.js';
import { basename } from 'node:path';
import { DiffusionError } from '../errors/index.js';
import {
  backendPackageName,
  installCommand,
  type LoadedAddon,
  moduleAdvice,
  platformPackageName,
  platformTag,
  reinstallCommand,
} from '../native/index.js';
import { pickDevice } from './deviceChoice.js';
import type { Backend, DeviceInfo } from './types.js';

/** Devices of an addon, their backend by our names. */
export function listDevices({ addon }: Pick<LoadedAddon, 'addon'>): DeviceInfo[] {
  return addon.devices().map((device) => ({ ...device, backend: device.backend.toLowerCase() }));
}

/**
 * The device for a backend: the chosen one, else the backend's first; `auto` prefers a GPU, then an integrated one, then
 * OpenVINO, whose package is installed only by who wants it.
 * @throws DiffusionError `ERR_BACKEND_UNAVAILABLE` saying what to install, `ERR_INVALID_OPTION` for an unknown device.
 */
export function chooseDevice(
  loaded: Pick<LoadedAddon, 'addon' | 'backends'>,
  backend: Backend,
  choice: Parameters<typeof pickDevice>[1] | undefined,
): DeviceInfo {
  const all = listDevices(loaded);
  const fitting = backend === 'auto' ? all : all.filter((device) => device.backend === backend);
  if (fitting.length === 0) throw unavailable(loaded, backend);
  if (choice !== undefined) return pickDevice(fitting, choice);
  const order = backend === 'auto' ? (['gpu', 'igpu', 'cpu'] as const) : [];
  for (const type of order) {
    if (type === 'cpu') {
      const openvino = fitting.find((device) => device.backend === 'openvino');
      if (openvino !== undefined) return openvino;
    }
    const first = fitting.find((device) => device.type === type);
    if (first !== undefined) return first;
  }
  const [first] = fitting;
  if (first === undefined) throw unavailable(loaded, backend);
  return first;
}

export interface ChosenDevices {
  readonly chosen: DeviceInfo;
  /** For models that it refuses. */
  readonly instead: DeviceInfo | undefined;
  readonly tell: Inform | undefined;
}

/**
 * Where models go whose options OpenVINO refuses: the plain CPU backend, where `auto` has taken OpenVINO and nobody has
 * asked for it. Undefined: they are refused.
 */
export function insteadOfOpenvino(
  loaded: Pick<LoadedAddon, 'addon'>,
  chosen: DeviceInfo,
  asked: { readonly backend: Backend; readonly device?: unknown; readonly openvino?: unknown },
): DeviceInfo | undefined {
  const free = asked.backend === 'auto' && asked.device === undefined && asked.openvino === undefined;
  if (!free || chosen.backend !== 'openvino') return undefined;
  return listDevices(loaded).find(({ backend }) => backend === 'cpu');
}

const needs: Readonly<Record<string, string>> = {
  cuda: 'an NVIDIA GPU with a driver for CUDA 13 (580 or newer), and cuBLAS of CUDA 13',
  vulkan: 'a GPU with a Vulkan driver (libvulkan.so.1 and an ICD)',
  openvino: 'Linux on x86-64; the package brings the OpenVINO libraries',
};

function unavailable({ backends }: Pick<LoadedAddon, 'backends'>, backend: Backend): DiffusionError {
  const module = backends.find(({ file }) => basename(file).toLowerCase().includes(`ggml-${backend}`));
  const tag = platformTag();
  const why =
    module === undefined
      ? 'its module is not installed'
      : module.loaded
        ? 'its module was loaded but found no device'
        : `its module could not be loaded: ${module.reason}`;
  const hint =
    module === undefined
      ? installHint(backend, tag)
      : (moduleAdvice(module.reason, backendPackageName(tag, backend)) ??
        `It needs ${needs[backend] ?? 'a complete installation'}; run "npx node-diffusion doctor" for details, or use backend: 'auto'.`);
  const message = `Backend "${backend}" is not available: ${why}. ${hint}`;
  return new DiffusionError('ERR_BACKEND_UNAVAILABLE', message, { field: 'backend', given: backend, hint });
}

function installHint(backend: Backend, tag: string): string {
  if (backend === 'cpu' || backend === 'auto') return `Install it: ${reinstallCommand(platformPackageName(tag))}`;
  const name = backendPackageName(tag, backend);
  if (name === undefined) return `There is no package of it for ${tag}; use backend: 'auto'.`;
  const need = needs[backend];
  return `Install it${need === undefined ? '' : ` (it needs ${need})`}: ${installCommand(name)}`;
}
