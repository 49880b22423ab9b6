import { MemoryLedger } from '../../lib/memory/index.js';
import { Residency, type ResidentModel } from '../../lib/model/index.js';
import type { NativeModel, NativeModelInfo } from '../../lib/native/index.js';
import { type Compile, Compiler } from '../../lib/pipeline/compile.js';
import type { CompileKey, ModelFacts, PipelineModel, UpscalerModel } from '../../lib/pipeline/index.js';
import type { PassParts } from '../../lib/pipeline/plan.js';
import { LoraDirectories } from '../../lib/weights/index.js';
import { type Assembled, assemble } from '../../lib/sdk/assemble.js';
import { picture, type FakeAddon, fakeInfo } from './fakeAddon.js';
import { fakeFacts } from './fakeModel.js';
import { loadOptions } from './nativeParams.js';

/** An upscaler that is always there and takes nothing. */
const doubling: UpscalerModel = {
  scale: 2,
  device: 'CPU',
  presence: {
    ...{ name: 'x2', loaded: true, bytes: 0, owned: false, rivals: [] },
    hold: () => () => undefined,
    spare: () => () => undefined,
    offer: () => () => undefined,
    admits: () => Promise.resolve(),
    watch: () => () => undefined,
    load: () => Promise.resolve(),
  },
  measure: () => Promise.resolve({ graph: 0, work: 0 }),
  enlarge: ({ image }) => Promise.resolve(picture(image.width * 2, image.height * 2, image.data[0] ?? 0)),
};

export interface PairOptions {
  /** What the second model is, where it is not as the first. */
  readonly second: Partial<NativeModelInfo>;
  /** Whose parts the second pass works with; its refiner is the second model, that of the first pass a third. */
  readonly parts: PassParts;
  readonly compile?:
    | ((key: CompileKey, native: NativeModel, pair: Pair) => NativeModel | Promise<NativeModel>)
    | undefined;
  readonly keeps?: boolean;
}

export interface Pair {
  readonly model: PipelineModel;
  readonly residents: readonly [ResidentModel, ResidentModel];
  /** Whose weights a number of the fake addon stands for; every load has a number of its own. */
  readonly roles: ReadonlyMap<number, 'first' | 'second'>;
}

export const ownOf = (role: 'first' | 'second'): PassParts => ({ diffusionModel: role, textEncoder: role, vae: role });

/** Two models over one fake addon, with their weights in residents of their own and a compiler where asked for. */
export function fakePair(fake: FakeAddon, { second, parts, compile, keeps = true }: PairOptions): Pair {
  const ledger = new MemoryLedger({ limit: undefined, available: () => 2 ** 40, rss: () => 0 });
  const residency = new Residency();
  const roles = new Map<number, 'first' | 'second'>();
  const make = (name: string, info: NativeModelInfo, facts: ModelFacts, holders: number): Assembled =>
    assemble({
      info,
      open: (_onEvent, signal) => {
        signal.throwIfAborted();
        const native = fake.model(info);
        roles.set(fake.models, holders > 0 ? 'first' : 'second');
        return Promise.resolve({ native, forget: () => undefined });
      },
      measure: (job) => fake.addon.measureJob({ load: loadOptions({ checkpoint: name }), job }),
      loaded: undefined,
      facts: () => facts,
      describe: () => ({ model: name }),
      identity: { weights: name, device: 'CPU', precision: '' },
      cacheBytes: 1e6,
      loras: { mode: 'merge', backup: 'ram', cacheBytes: 0, threads: 1, directories: new LoraDirectories([]) },
      stamps: new Map(),
      ledger,
      residency,
      log: undefined,
      openUpscaler: () => Promise.resolve(doubling),
      openSecond: ({ within }) => {
        if (within === 'refiner.') return Promise.resolve({ model: c.pipeline, parts: ownOf('second') });
        return Promise.resolve({ model: b.pipeline, parts: within === 'hires.' ? parts : ownOf('second') });
      },
      holders,
    });
  const infoB = { ...fakeInfo, ...second };
  const family = second.latentChannels === undefined ? 'sd' : 'flux';
  const facts = fakeFacts();
  const a = make('a', fakeInfo, fakeFacts({ name: 'a' }), 1);
  const b = make(
    'b',
    infoB,
    fakeFacts({ ...infoB, name: 'b', space: { ...facts.space, family, channels: infoB.latentChannels } }),
    0,
  );
  const c = make('c', fakeInfo, fakeFacts({ name: 'c' }), 0);
  const pair: Pair = { model: a.pipeline, residents: [a.resident, b.resident], roles };
  if (compile !== undefined) {
    const run: Compile = async (key, native) => compile(key, native, pair);
    for (const { pipeline } of [a, b]) Object.assign(pipeline, { compiler: new Compiler(run, keeps) });
  }
  return pair;
}
