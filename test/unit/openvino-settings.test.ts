import { readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { describe, expect, it, vi } from 'vitest';
import { memoryOfProcess } from '../../lib/memory/index.js';
import { findBackends } from '../../lib/cli/doctor/backends.js';
import type { LoadModelOptions, RuntimeOptions } from '../../lib/index.js';
import type { NativeDevice } from '../../lib/native/index.js';
import { chooseDevice } from '../../lib/sdk/devices.js';
import { assertWeightsStay } from '../../lib/sdk/loadOptions.js';
import { openvinoSettings } from '../../lib/sdk/openvino.js';
import { fakeRuntime, tinyCheckpoint, tinyUpscaler } from '../support/fakeModel.js';
import { failure } from '../support/native.js';

const device = (name: string, type: NativeDevice['type'], backend: string): NativeDevice => ({
  ...{ name, type, backend, description: '', memoryFree: 1, memoryTotal: 1 },
});
const cpu = device('CPU', 'cpu', 'CPU');
const openvino = device('OpenVINO', 'accel', 'OpenVINO');
const gpu = device('CUDA0', 'gpu', 'CUDA');
const loaded = (...devices: object[]) => ({ addon: { devices: () => devices } as never, backends: [] });

describe('the settings of OpenVINO', () => {
  it('travel as lines of name=value, defaults written out', () => {
    const half = `cacheBytes=${String(Math.floor(memoryOfProcess() / 2))}`;
    expect(openvinoSettings(undefined, 'openvino', 3).split('\n').sort()).toEqual(
      ['device=CPU', 'precision=f32', 'streams=1', 'threads=3', half].sort(),
    );
    const all = openvinoSettings({ device: 'GPU.1', precision: 'bf16', streams: 1, cacheSize: 5 }, 'openvino', 0);
    const inputs = openvinoSettings({ device: 'CPU', precision: 'f32', streams: 1, weightInputs: true }, 'openvino', 0);
    expect(inputs).toContain('weightInputs=1');
    expect(all).not.toContain('weightInputs');
    expect(all.split('\n')).toEqual(expect.arrayContaining(['device=GPU.1', 'precision=bf16', 'cacheBytes=5']));
  });

  it('name the model to the backend that has a disk cache and no memory limit, the same at every load', async () => {
    const checkpoint = tinyCheckpoint();
    const optionsOf = async (
      openvinoOptions: RuntimeOptions['openvino'],
      memoryLimit?: number,
      options: LoadModelOptions = {},
    ): Promise<string[]> => {
      const asked = { backend: 'openvino', memoryLimit, openvino: openvinoOptions } as const;
      const { fake, runtime } = await fakeRuntime({ devices: [openvino, cpu], runtime: asked });
      await using _ = runtime;
      await runtime.loadModel({ checkpoint, ...options });
      const { deviceOptions = '' } = fake.of('loadModel')[0]?.params ?? {};
      return deviceOptions.split('\n').filter((line) => /^(?:model|aheadBytes)=/.test(line));
    };
    const [name, bytes] = await optionsOf({ diskCache: true });
    expect(name).toMatch(/^model=[0-9a-f]{16}$/);
    expect(bytes).toMatch(/^aheadBytes=[1-9]\d*$/);
    const nameOf = async (...given: Parameters<typeof optionsOf>): Promise<unknown> => (await optionsOf(...given))[0];
    expect(await nameOf({ diskCache: true, cacheSize: '3GiB' })).toBe(name);
    expect(await nameOf({ diskCache: true }, undefined, { weightType: 'f32' })).not.toBe(name);
    writeFileSync(checkpoint, readFileSync(checkpoint));
    utimesSync(checkpoint, 1, 1);
    expect(await nameOf({ diskCache: true })).not.toBe(name);
    expect(await optionsOf({ diskCache: true }, 2 ** 34)).toEqual([]);
    expect(await optionsOf({})).toEqual([]);
  });

  it('name the place of the disk cache only when it is wanted', () => {
    expect(openvinoSettings({ device: 'CPU', precision: 'f32', streams: 1 }, 'openvino', 0)).not.toContain('diskCache');
    vi.stubEnv('NODE_DIFFUSION_CACHE', '/some/where');
    const lines = (size?: number): string[] => {
      const given = { device: 'CPU', precision: 'f32', streams: 1, diskCache: true } as const;
      return openvinoSettings(size === undefined ? given : { ...given, diskCacheSize: size }, 'openvino', 0).split(
        '\n',
      );
    };
    expect(lines()).toContain('diskCache=/some/where/openvino');
    expect(lines(7)).toContain('diskCacheBytes=7');
    vi.stubEnv('NODE_DIFFUSION_CACHE', '/some\nthreads=9');
    expect(lines).toThrow(expect.objectContaining({ code: 'ERR_INVALID_OPTION' }) as Error);
    vi.unstubAllEnvs();
  });

  it('are refused for another backend, and where a device is no name', async () => {
    const given = { device: 'CPU', precision: 'f32', streams: 1 } as const;
    expect(openvinoSettings(undefined, 'cpu', 1)).toBe('');
    const settings = (backend: string, options: typeof given | { device: string }) =>
      failure(Promise.resolve().then(() => openvinoSettings({ ...given, ...options }, backend, 1)));
    expect(await settings('cpu', given)).toMatchObject({ code: 'ERR_INVALID_OPTION', field: 'openvino' });
    for (const name of ['two words', 'CPU\nthreads=9', 'cpu', '']) {
      const error = await settings('openvino', { device: name });
      expect(error).toMatchObject({ code: 'ERR_INVALID_OPTION', field: 'openvino.device' });
    }
  });
});

describe('a setting that would do nothing beside the others', () => {
  const given = { device: 'CPU', precision: 'f32', streams: 1 } as const;
  const refusal = (options: object) =>
    failure(Promise.resolve().then(() => openvinoSettings({ ...given, ...options }, 'openvino', 0)));

  it.each([
    ['diskCacheSize', { diskCacheSize: 7 }, 'add diskCache: true'],
    ['diskCacheSize', { diskCacheSize: 7, diskCache: false }, 'add diskCache: true'],
    ['weightInputs', { weightInputs: true, precision: 'bf16' }, 'leave weightInputs away'],
    ['weightInputs', { weightInputs: true, device: 'GPU' }, 'leave weightInputs away'],
    ['streams', { streams: 2 }, 'leave streams away'],
    ['streams', { streams: 2, device: 'GPU.1' }, 'leave streams away'],
    ['diskCache', { diskCache: true, device: 'AUTO' }, 'name one device'],
    ['diskCache', { diskCache: true, device: 'BATCH:CPU(4)' }, 'name one device'],
  ])('is refused: %s of %o', async (name, options, advice) => {
    const error = await refusal(options);
    expect(error).toMatchObject({ code: 'ERR_INVALID_OPTION', field: `openvino.${name}` });
    expect(error.message).toContain(advice);
  });

  it('is taken where it does something, or says what is so anyway', () => {
    for (const options of [
      { diskCacheSize: 7, diskCache: true },
      { weightInputs: true },
      { weightInputs: false, precision: 'bf16', device: 'GPU' } as const,
      { diskCache: true, device: 'HETERO:GPU,CPU' },
      { precision: 'f16' } as const,
    ])
      expect(openvinoSettings({ ...given, ...options }, 'openvino', 0)).toContain('precision=');
  });
});

describe('weights that leave with every job', () => {
  const refusal = (options: Parameters<typeof assertWeightsStay>[0], backend: string) =>
    failure(
      Promise.resolve().then(() => {
        assertWeightsStay(options, backend);
      }),
    );

  it('are refused where they are compiled', async () => {
    for (const [field, options] of [
      ['offloadToCpu', { offloadToCpu: true }],
      ['maxVram', { offloadToCpu: false, maxVram: 2 }],
    ] as const) {
      expect(await refusal(options, 'openvino')).toMatchObject({ code: 'ERR_INVALID_OPTION', field });
      expect(() => {
        assertWeightsStay(options, 'cuda');
      }).not.toThrow();
    }
    expect(() => {
      assertWeightsStay({ offloadToCpu: false, maxVram: 0 }, 'openvino');
    }).not.toThrow();
  });
});

describe('a machine without OpenVINO', () => {
  it('is told what the package brings, and that its CPU may be of AMD', () => {
    // The missing module: there is no device of it.
    const run = (): unknown => chooseDevice(loaded(cpu), 'openvino', undefined);
    expect(run).toThrow(/the package brings the OpenVINO libraries|There is no package of it/);
    const absent = findBackends({ backends: [], devices: [], platform: 'linux-x64' });
    expect(absent.find(({ name }) => name === 'openvino')?.advice).toContain('AMD');
  });
});

describe('auto', () => {
  it('takes a GPU first, then OpenVINO, then the CPU', () => {
    const first = (...devices: object[]) => chooseDevice(loaded(...devices), 'auto', undefined).name;
    expect(first(openvino, cpu, gpu)).toBe('CUDA0');
    expect(first(cpu, openvino)).toBe('OpenVINO');
    expect(first(cpu)).toBe('CPU');
  });

  it('leaves models to the CPU whose weights are to leave, unless OpenVINO was asked for', async () => {
    const load = async (asked: RuntimeOptions, options: LoadModelOptions): Promise<string> => {
      const { fake, runtime } = await fakeRuntime({ devices: [openvino, cpu], runtime: asked });
      await using _ = runtime;
      const checkpoint = tinyCheckpoint();
      await runtime.estimateLoad({ checkpoint, ...options });
      await runtime.loadModel({ checkpoint, ...options });
      return fake.of('loadModel')[0]?.params.device ?? '';
    };
    expect(await load({}, {})).toBe('OpenVINO');
    expect(await load({}, { offloadToCpu: true })).toBe('CPU');
    expect(await load({}, { maxVram: 4 })).toBe('CPU');
    const lines: string[] = [];
    const logger = (level: string, line: string): void => void lines.push(`${level}: ${line}`);
    for (const options of [{}, { maxVram: 4 }]) await load({ logger, logLevel: 'info' }, options);
    expect(lines.filter((line) => /^info: loading to "CPU": .*maxVram/.test(line))).toHaveLength(1);
    lines.length = 0;
    await load({ logger, logLevel: 'warn' }, { maxVram: 4 });
    expect(lines).toEqual([]);
    for (const asked of [{ backend: 'openvino' }, { openvino: { cacheSize: '1GiB' } }, { device: 'OpenVINO' }] as const)
      for (const options of [{ offloadToCpu: true }, { maxVram: 4 }])
        expect(await failure(load(asked, options))).toMatchObject({ code: 'ERR_INVALID_OPTION' });
    expect(await failure(load({}, { offloadToCpu: true, device: 'OpenVINO' }))).toMatchObject({
      field: 'offloadToCpu',
    });
    const { fake, runtime } = await fakeRuntime({ devices: [openvino, cpu] });
    await using _ = runtime;
    await runtime.loadUpscaler({ file: tinyUpscaler(), offloadToCpu: true });
    expect(fake.of('loadUpscaler')).toMatchObject([{ params: { device: 'CPU' } }]);
  });
});
