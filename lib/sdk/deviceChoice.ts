import { invalidOption } from '../errors/index.js';
import { byteSize, integer, object, optional, text, union } from '../options/index.js';
import type { DeviceInfo } from './types.js';

/** What a device must be. Everything that is given must hold; of several devices the one with most free memory is taken. */
export interface DeviceQuery {
  /** Its name, or a part of its description, upper and lower case alike: `Vulkan0`, `GeForce`. */
  readonly name?: string | undefined;
  /** Its place among the devices of the backend, as {@link Runtime.devices} lists them; from 0. */
  readonly index?: number | undefined;
  /** Least free memory, bytes or a text such as `8GiB`. */
  readonly memory?: number | string | undefined;
}

const name = () => text({ allowEmpty: false, maxLength: 256 });
const index = () => integer({ min: 0, max: 1023 });

export const deviceSpec = optional(
  union(
    [name(), index(), object({ name: optional(name()), index: optional(index()), memory: optional(byteSize()) })],
    (value) => (typeof value === 'string' ? 0 : typeof value === 'number' ? 1 : typeof value === 'object' ? 2 : -1),
  ),
);

interface CheckedQuery {
  readonly name?: string;
  readonly index?: number;
  readonly memory?: number;
}

/**
 * The device that a choice means.
 * @param devices those of the backend, in the order that indices count in.
 * @throws DiffusionError `ERR_INVALID_OPTION` that lists the devices found, where none is meant or a name means several.
 */
export function pickDevice(
  devices: readonly DeviceInfo[],
  choice: string | number | CheckedQuery,
  field = 'device',
): DeviceInfo {
  const query = typeof choice === 'string' ? { name: choice } : typeof choice === 'number' ? { index: choice } : choice;
  const { memory } = query;
  let fitting = query.index === undefined ? devices : devices.slice(query.index, query.index + 1);
  if (query.name !== undefined) fitting = named(fitting, query.name);
  if (memory !== undefined) fitting = fitting.filter(({ memoryFree }) => memoryFree >= memory);
  const [first, second] = fitting;
  if (first === undefined || (second !== undefined && memory === undefined && query.name !== undefined)) {
    const many =
      first === undefined ? '' : ` that is meant alone: ${fitting.map((device) => device.name).join(', ')} fit`;
    throw invalidOption(field, shown(choice), `one of the devices found${many}`, `Found: ${listed(devices)}.`);
  }
  return fitting.reduce((best, device) => (device.memoryFree > best.memoryFree ? device : best), first);
}

/** The device of exactly this name, else all whose description has it as a part. */
function named(devices: readonly DeviceInfo[], wanted: string): readonly DeviceInfo[] {
  const lower = wanted.toLowerCase();
  const exact = devices.filter((device) => device.name.toLowerCase() === lower);
  return exact.length > 0 ? exact : devices.filter(({ description }) => description.toLowerCase().includes(lower));
}

function shown(choice: string | number | CheckedQuery): string | number {
  return typeof choice === 'object' ? JSON.stringify(choice) : choice;
}

function listed(devices: readonly DeviceInfo[]): string {
  const line = ({ name: own, description, memoryFree, memoryTotal }: DeviceInfo, at: number): string =>
    `${String(at)}: ${own} (${description}, ${gib(memoryFree)} free of ${gib(memoryTotal)} GiB)`;
  return devices.map(line).join('; ');
}

function gib(bytes: number): string {
  return (bytes / 2 ** 30).toFixed(1);
}
