import type {
  BackendFolder,
  NativeAddon,
  NativeBackendReport,
  NativeDevice,
  NativeLogLevel,
  NativeTables,
  NativeVersions,
  SkippedModules,
} from '../native/index.js';

/**
 * Messages between the two processes, over Node's own channel with structured clone. Large arrays travel beside them in
 * shared memory (carrier.ts, pack.ts). The id of a call is also the handle of the thing that it makes.
 */
export type ToEngine =
  | {
      readonly type: 'start';
      /** Absolute path of the addon. */
      readonly binary: string;
      /** Where its backend modules lie, and which of them are left alone. */
      readonly folders: readonly BackendFolder[];
      readonly skip: SkippedModules;
      /** Bytes behind the inherited descriptor {@link sharedDescriptor}; 0: there is none. */
      readonly sharedBytes: number;
      /** Milliseconds between signs of life while a job runs. */
      readonly beat: number;
      readonly logLevel: NativeLogLevel;
    }
  | {
      readonly type: 'call';
      readonly id: number;
      /** Handle of the object; 0: the addon. */
      readonly target: number;
      readonly method: string;
      readonly params: unknown;
      readonly events: boolean;
    }
  | { readonly type: 'cancel'; readonly id: number }
  | { readonly type: 'drop'; readonly handle: number }
  | { readonly type: 'log-level'; readonly level: NativeLogLevel }
  | Freed;

export type FromEngine =
  | ({ readonly type: 'ready' } & EngineFacts)
  | { readonly type: 'failed'; readonly message: string }
  | { readonly type: 'event'; readonly id: number; readonly event: unknown }
  | {
      readonly type: 'done';
      readonly id: number;
      /** The value, or of a thing that stays there its plain properties. */
      readonly value: unknown;
      readonly devices: readonly NativeDevice[];
    }
  | { readonly type: 'error'; readonly id: number; readonly code: string | undefined; readonly message: string }
  | { readonly type: 'log'; readonly level: NativeLogLevel; readonly text: string; readonly id: number }
  /** Jobs that run and how much the engine has done for each, {@link NativeJob.activity}. */
  | { readonly type: 'beat'; readonly jobs: readonly (readonly [id: number, activity: number])[] }
  | Freed;

/** Blocks of shared memory that the receiver has read. */
interface Freed {
  readonly type: 'freed';
  readonly blocks: readonly number[];
}

/** What does not change while the engine's process lives, but for the free memory of the devices. */
export interface EngineFacts {
  readonly versions: NativeVersions;
  readonly tables: NativeTables;
  readonly backends: readonly NativeBackendReport[];
  readonly devices: readonly NativeDevice[];
  readonly cpuFeatures: ReturnType<NativeAddon['cpuFeatures']>;
}

/** Place of the shared memory among the descriptors of the engine's process, after stdin, stdout, stderr and the channel. */
export const sharedDescriptor = 4;
