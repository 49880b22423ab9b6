import { basename } from 'node:path';
import {
  backendPackageName,
  installCommand,
  moduleAdvice,
  platformPackageName,
  reinstallCommand,
} from '../../native/index.js';
import type { BackendInfo, DeviceInfo } from '../../sdk/types.js';

/** `ready`: has a device. `no-device`: its module runs, the machine lacks a device. `failed`: its module does not load. */
export type BackendState = 'ready' | 'no-device' | 'failed' | 'absent';

export interface BackendFinding {
  readonly name: string;
  readonly state: BackendState;
  /** The module; null when there is none. */
  readonly file: string | null;
  /** Why it cannot be used; empty when it can. */
  readonly reason: string;
  /** What to install or do; empty when nothing is to be done. */
  readonly advice: string;
}

interface Need {
  readonly name: string;
  readonly device: string;
  /** What provides a library, by the start of its file name. */
  readonly libraries: Readonly<Record<string, string>>;
}

const needs: readonly Need[] = [
  { name: 'cpu', device: 'a CPU of this platform', libraries: {} },
  {
    name: 'cuda',
    device: 'an NVIDIA GPU and its driver, 580 or newer (check with nvidia-smi)',
    libraries: {
      libcuda: 'the NVIDIA driver',
      libcublas: 'cuBLAS of CUDA 13 (docs/cuda.md says how)',
    },
  },
  {
    name: 'vulkan',
    device: 'a GPU with a Vulkan driver (Debian and Ubuntu: mesa-vulkan-drivers, or the driver of the GPU maker)',
    libraries: { libvulkan: 'the Vulkan loader (Debian and Ubuntu: libvulkan1)' },
  },
  {
    name: 'openvino',
    device: 'an x86-64 CPU of Intel or AMD, or an Intel GPU or NPU',
    libraries: { libopenvino: '@node-diffusion/linux-x64-openvino again, which brings the OpenVINO libraries' },
  },
];

export interface BackendSources {
  readonly backends: readonly BackendInfo[];
  readonly devices: readonly DeviceInfo[];
  readonly platform: string;
}

/** Every backend this package knows, and whether it can be used here. */
export function findBackends(sources: BackendSources): BackendFinding[] {
  return needs.map((need) => findBackend(need, sources));
}

function findBackend({ name, device, libraries }: Need, sources: BackendSources): BackendFinding {
  const { backends, devices, platform } = sources;
  const module = backends.find(({ file }) => basename(file).toLowerCase().includes(`ggml-${name}`));
  if (devices.some(({ backend }) => backend === name)) {
    return { name, state: 'ready', file: module?.file ?? null, reason: '', advice: '' };
  }
  const own = backendPackageName(platform, name);
  if (module === undefined) {
    const advice =
      name === 'cpu'
        ? `Install again on this system: ${reinstallCommand(platformPackageName(platform))}`
        : own === undefined
          ? `There is no package of it for ${platform}.`
          : `It needs ${device}. Install it: ${installCommand(own)}`;
    return { name, state: 'absent', file: null, reason: 'its module is not installed', advice };
  }
  const { file, reason } = module;
  if (module.loaded)
    return { name, state: 'no-device', file, reason: 'no device was found', advice: `It needs ${device}.` };
  const advice = moduleAdvice(reason, own) ?? failureAdvice(reason, device, libraries);
  return { name, state: 'failed', file, reason, advice };
}

function failureAdvice(reason: string, device: string, libraries: Need['libraries']): string {
  if (reason.includes('ended the process'))
    return 'It is left alone. Renew its driver, then run node-diffusion doctor again.';
  if (reason.includes('the NVIDIA driver offers CUDA')) return 'Renew the NVIDIA driver.';
  const missing = /(lib[\w+-]+)(?:\.[\w.]*)?: cannot open shared object file/.exec(reason)?.[1];
  const provider = Object.entries(libraries).find(([library]) => missing?.startsWith(library) === true)?.[1];
  if (provider !== undefined) return `Install ${provider}.`;
  return missing === undefined ? `It needs ${device}.` : `Install what provides ${missing}.`;
}
