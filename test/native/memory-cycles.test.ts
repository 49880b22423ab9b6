import { describe, it } from 'vitest';
import { count, cycle, settled } from '../support/memoryCycles.js';

describe(`resident memory after ${String(count)} rounds is within 2 % of what it was after ${String(settled)}`, () => {
  // At once: a process measures itself alone, and each works on one thread.
  it.concurrent.each([
    ['generations', 'pictures'],
    ['loads', 'loads and disposals'],
    ['aborts', 'aborted jobs'],
  ])('%s: %s', (kind) => cycle(kind));
});
