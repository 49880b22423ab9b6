import type { InfotextModel } from '../image/index.js';
import { type MemoryLedger, sumBytes } from '../memory/index.js';
import {
  type LoadedNative,
  type MeasureUnloaded,
  type OpenNative,
  type Residency,
  ResidentModel,
} from '../model/index.js';
import type { NativeModelFiles, NativeModelInfo } from '../native/index.js';
import {
  ConditioningCache,
  JobQueue,
  MeasureCache,
  type ModelEvent,
  type ModelFacts,
  type ModelIdentity,
  type OpenSecond,
  type OpenUpscaler,
  type PipelineModel,
} from '../pipeline/index.js';
import { type WeightsOptions, WeightsState } from '../weights/index.js';
import { loraRoom } from './loraRoom.js';
import { ModelGraphs } from './modelGraphs.js';
import { ModelTenant, type TenantInit } from './tenant.js';

/** What a model is put together from. */
export interface AssembleInit {
  readonly info: NativeModelInfo;
  readonly open: OpenNative;
  readonly measure: MeasureUnloaded;
  /** Undefined: it is loaded at its first use. */
  readonly loaded: LoadedNative | undefined;
  /** Asked for again whenever the weights have been read. */
  readonly facts: () => ModelFacts;
  readonly describe: () => InfotextModel;
  readonly identity: ModelIdentity;
  readonly cacheBytes: number;
  /** How LoRAs reach the weights. */
  readonly loras: WeightsOptions;
  /** The model's files and their stamps from before they were loaded. */
  readonly stamps: ReadonlyMap<string, string>;
  /** By option; undefined: nothing is lent by file. */
  readonly files?: NativeModelFiles | undefined;
  readonly ledger: MemoryLedger;
  readonly residency: Residency;
  readonly log: ((event: ModelEvent) => void) | undefined;
  readonly openUpscaler: OpenUpscaler;
  /** For tests; else an owner brings it. */
  readonly openSecond?: OpenSecond | undefined;
  /** See {@link ModelTenant}. */
  readonly holders: number;
  /** See {@link ModelTenant}; undefined: somebody loaded the model, so it fits. */
  readonly admits?: TenantInit['admits'];
}

export interface Assembled {
  readonly pipeline: PipelineModel & { readonly queue: JobQueue; readonly presence: ModelTenant };
  readonly resident: ResidentModel;
  /** Makes it the model of somebody who has loaded it by a call: its queue takes jobs then. */
  readonly own: (owner: Owner) => void;
}

/** What a model that jobs start from has beside its weights. */
export interface Owner {
  readonly describe: () => InfotextModel;
  readonly openSecond: OpenSecond;
}

/** Native weights with everything that jobs on them need. */
export function assemble(init: AssembleInit): Assembled {
  const { ledger, log, openUpscaler, identity } = init;
  let owner: Pick<AssembleInit, 'describe' | 'openSecond'> = init;
  const first = init.facts();
  const resident = new ResidentModel({
    ...{ info: init.info, open: init.open, measure: init.measure, loaded: init.loaded },
    onDrop: () => {
      weights.reset();
      pipeline.compiler?.forget();
      memory.cache.graphs.set([]);
    },
  });
  const { native } = resident;
  const cache = new ConditioningCache(init.cacheBytes);
  const memory = { ledger, cache: new MeasureCache() };
  const queue = new JobQueue(first.name);
  const weights = new WeightsState({
    ...init.loras,
    native,
    architecture: first.architecture,
    checkpoint: init.stamps,
    room: loraRoom(ledger, init.facts),
  });
  const presence = new ModelTenant({
    name: first.name,
    resident,
    bytes: () => sumBytes(init.facts().components),
    residency: init.residency,
    trim: async () => {
      cache.clear();
      if (resident.loaded) await weights.release();
    },
    graphs: new ModelGraphs({ native, memory, turn: queue.turn, loaded: () => resident.loaded }),
    log,
    holders: init.holders,
    admits: init.admits,
  });
  const pipeline: Assembled['pipeline'] = {
    native,
    get facts() {
      return init.facts();
    },
    get openSecond() {
      return owner.openSecond;
    },
    describe: () => owner.describe(),
    ...{ cache, weights, identity, openUpscaler, presence },
    memory,
    queue,
    ...(log === undefined ? {} : { log }),
    ...(init.files === undefined ? {} : { sources: { files: init.files, stamps: init.stamps } }),
  };
  return { pipeline, resident, own: (given) => (owner = given) };
}
