import { describe, expect, it } from 'vitest';
import type { EngineProcess } from '../../lib/isolation/engine-process.js';
import { operations } from '../../lib/isolation/remote.js';
import type { Supervisor } from '../../lib/isolation/supervisor.js';
import type { NativeModel } from '../../lib/native/index.js';

/** A process that answers every call, and notes its method. */
function fakeEngine() {
  const calls: string[] = [];
  const engine = {
    usable: true,
    call: ({ method }: { method: string }) => {
      calls.push(method);
      return Promise.resolve(method === 'loadModel' ? { info: {} } : [{ graph: 1, signature: 2, bytes: 3 }]);
    },
    drop: () => undefined,
    cancel: () => undefined,
  };
  return { engine: engine as unknown as EngineProcess, calls };
}

describe('an operation on a thing of a process that has died', () => {
  it('makes it again in the next one, but not to let go of what died with it', async () => {
    const [first, second] = [fakeEngine(), fakeEngine()];
    const state: { usable: EngineProcess | undefined } = { usable: first.engine };
    let started = 0;
    const supervisor = {
      get usable() {
        return state.usable;
      },
      engine: () => {
        started++;
        state.usable = second.engine;
        return Promise.resolve(second.engine);
      },
    } as unknown as Supervisor;
    const { loadModel } = operations(supervisor, 'addon', null);
    const model = (await loadModel?.({ files: {} }).promise) as NativeModel;
    const release = () => model.releaseCompiled({ bytes: 1, keep: [] }).promise;
    expect(await release()).toHaveLength(1);
    expect(first.calls).toEqual(['loadModel', 'releaseCompiled']);
    // No process lives: none is started for it.
    state.usable = undefined;
    expect(await release()).toEqual([]);
    expect(started).toBe(0);
    // One lives that does not have the model.
    state.usable = second.engine;
    expect(await release()).toEqual([]);
    expect(second.calls).toEqual([]);
    await model.weightsMemory().promise;
    expect(second.calls).toEqual(['loadModel', 'weightsMemory']);
    expect(await release()).toHaveLength(1);
  });
});
