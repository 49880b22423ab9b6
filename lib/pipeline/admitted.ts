import type { JobScope } from '../native/index.js';
import type { Admitter, TiledWarning, TilingChoice } from './admission.js';
import { admitPasses } from './admitPasses.js';
import { refreshGraphs } from './graphRelief.js';
import { type JobShape, type Tilings, untiled } from './measure.js';

export interface Admission {
  readonly tilings: Tilings;
  /** For the native operations: bytes that their graphs may take. */
  readonly memoryBudget: number;
  readonly warnings: readonly TiledWarning[];
}

/** Runs work of one model with its memory taken; given back when the native side has let go. */
export async function admitted<T>(
  admitter: Admitter,
  scope: JobScope,
  shape: JobShape,
  choice: TilingChoice,
  work: (admission: Admission) => Promise<T>,
): Promise<T> {
  const { tilings, release, ...admission } = await admitPasses([[{ admitter, shape }]], scope, choice);
  try {
    scope.check();
    const result = await work({ ...admission, tilings: tilings[0] ?? { encode: untiled, decode: untiled } });
    // Nobody else is told of what it has compiled.
    await refreshGraphs([admitter], scope);
    return result;
  } finally {
    void scope.idle().then(release);
  }
}
