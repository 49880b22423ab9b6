import type { JobScope } from '../native/index.js';
import { admit, type Admission, type Admitter, type TilingChoice } from './admission.js';
import type { JobShape } from './measure.js';

/** Runs work with its memory taken; given back when the native side has let go. */
export async function admitted<T>(
  admitter: Admitter,
  scope: JobScope,
  shape: JobShape,
  choice: TilingChoice,
  work: (admission: Admission) => Promise<T>,
): Promise<T> {
  const admission = await admit(admitter, scope, shape, choice);
  try {
    scope.check();
    return await work(admission);
  } finally {
    void scope.idle().then(admission.release);
  }
}
