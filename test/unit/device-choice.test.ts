import { describe, expect, it } from 'vitest';
import { deviceSpec, pickDevice } from '../../lib/sdk/deviceChoice.js';
import { chooseDevice } from '../../lib/sdk/devices.js';
import { failure } from '../support/native.js';

const gib = 2 ** 30;
const device = (name: string, backend: string, description: string, memoryFree: number) => ({
  ...{ name, backend, description, memoryFree, memoryTotal: 24 * gib },
  type: backend === 'CPU' ? ('cpu' as const) : ('gpu' as const),
});
const all = [
  device('CPU', 'CPU', 'Some processor', 64 * gib),
  device('Vulkan0', 'Vulkan', 'Maker Arc A380', 5 * gib),
  device('Vulkan1', 'Vulkan', 'Maker GeForce RTX 9090', 20 * gib),
  device('Vulkan2', 'Vulkan', 'Maker GeForce RTX 9090', 22 * gib),
];
const loaded = { addon: { devices: () => all } as never, backends: [] };
const vulkan = all.slice(1);

const choose = (given: unknown): string =>
  chooseDevice(loaded, 'vulkan', deviceSpec.check(given, 'device') as Parameters<typeof chooseDevice>[2]).name;
const refused = (given: unknown) => failure(Promise.resolve().then(() => choose(given)));

describe('the device of a runtime', () => {
  it('is chosen by name, by a part of its description and by its index in the backend', () => {
    expect(choose('vulkan1')).toBe('Vulkan1');
    expect(choose('arc')).toBe('Vulkan0');
    expect(choose(2)).toBe('Vulkan2');
    expect(choose({ index: 0 })).toBe('Vulkan0');
    expect(choose({ name: 'Vulkan2' })).toBe('Vulkan2');
  });

  it('is, of those with enough free memory, the one with most', () => {
    expect(choose({ memory: '6GiB' })).toBe('Vulkan2');
    expect(choose({ name: 'geforce', memory: 21 * gib })).toBe('Vulkan2');
    expect(choose({})).toBe('Vulkan2');
  });

  it('that is not there is an error that lists what was found, and names the field', async () => {
    for (const given of ['Vulkan9', 7, { memory: '23GiB' }, { index: 0, memory: '6GiB' }, { name: 'Radeon' }]) {
      const error = await refused(given);
      expect(error).toMatchObject({ code: 'ERR_INVALID_OPTION', field: 'device' });
      for (const { name, description } of vulkan) expect(error.message).toContain(`${name} (${description}`);
      expect(error.message).not.toContain('Some processor');
    }
  });

  it('whose name fits several is refused, with those that fit', async () => {
    const error = await refused('geforce');
    expect(error).toMatchObject({ code: 'ERR_INVALID_OPTION', field: 'device', given: 'geforce' });
    expect(error.message).toContain('Vulkan1, Vulkan2 fit');
  });

  it('is checked before anything is loaded', async () => {
    for (const [given, field] of [
      [-1, 'device'],
      [true, 'device'],
      ['', 'device'],
      [{ memory: 'much' }, 'device.memory'],
      [{ vram: 1 }, 'device.vram'],
    ] as const) {
      expect(await refused(given)).toMatchObject({ code: 'ERR_INVALID_OPTION', field });
    }
  });

  it('of a backend without any: its own module tells why, wherever it lies', async () => {
    const backends = [
      { file: '/opt/vulkan/libggml-cpu-*', loaded: true, reason: '' },
      { file: '/opt/vulkan/libggml-vulkan.so', loaded: false, reason: 'no libvulkan.so.1' },
    ];
    const without = { addon: { devices: () => all.slice(0, 1) } as never, backends };
    const missing = await failure(Promise.resolve().then(() => chooseDevice(without, 'vulkan', undefined)));
    expect(missing).toMatchObject({ code: 'ERR_BACKEND_UNAVAILABLE', field: 'backend' });
    expect(missing.message).toContain('no libvulkan.so.1');
    const absent = await failure(Promise.resolve().then(() => chooseDevice(without, 'cuda', undefined)));
    expect(absent.message).toContain('its module is not installed');
  });

  it('of a model is any that is there', () => {
    expect(pickDevice(all, 'CPU').name).toBe('CPU');
  });
});
