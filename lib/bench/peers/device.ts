import { invalidOption } from '../../errors/index.js';
import type { TimedLine } from '../program.js';
import type { BenchRuntime, BenchSettings } from '../types.js';

/**
 * Peers are compared on the CPU: the Python ones compute there, and sd-cli takes the best device it finds and cannot be
 * told another.
 * @throws DiffusionError `ERR_INVALID_OPTION` when our side would compute elsewhere.
 */
export function assertOnCpu({ compare, runtime: { openvino }, load }: BenchSettings, runtime: BenchRuntime): void {
  if (compare === undefined) return;
  const { backend, device } = runtime;
  const hint = 'Add --backend cpu.';
  const only = `a device that ${compare.peer} computes on too, which is the CPU`;
  // OpenVINO's device is one of its own settings, and the CPU unless that says otherwise.
  const cpu = backend === 'openvino' ? (openvino?.device ?? 'CPU') === 'CPU' : device.type === 'cpu';
  if (!cpu) throw invalidOption('--backend', `${backend} (${device.name})`, only, hint);
  if (load.device !== undefined) throw invalidOption('device', load.device, 'no device of its own for the model');
}

/** The device that sd-cli computed on, by its log; null when the log does not tell. */
export function sdCliDevice(lines: readonly TimedLine[]): string | null {
  // What comes last counts: a device that could not be initialized is followed by another. Parts of a model that are kept
  // on the CPU have their name before the sentence.
  const found = lines.map(({ line }) => /(?:^|- )(?:Initializing backend: (\S+)|Using (\S+) backend)$/.exec(line));
  const last = found.findLast((match) => match !== null);
  return last?.[1] ?? last?.[2] ?? null;
}

/**
 * The same, of a comparison with our CPU.
 * @throws DiffusionError `ERR_INVALID_OPTION` when it was another device.
 */
export function sdCliCpu(program: string, lines: readonly TimedLine[]): string | null {
  const device = sdCliDevice(lines);
  if (device === null || /^cpu/i.test(device)) return device;
  const hint = 'Give an sd-cli that was built for the CPU alone, or without its GPU modules beside it.';
  throw invalidOption(
    '--compare',
    `${program}, which computed on ${device}`,
    'an sd-cli that computes on the CPU',
    hint,
  );
}
