import type { Need, Reservation, Shortage } from '../memory/index.js';
import type { JobScope } from '../native/index.js';
import {
  type Admitter,
  chooseTilings,
  isReservation,
  measureNeed,
  type TiledWarning,
  tiledWarning,
} from './admission.js';
import type { TilingChoice } from './admission.js';
import type { JobShape, Tilings } from './measure.js';
import { untiled } from './measure.js';
import { askedBy, askedOf, offerGraphs, refreshGraphs } from './graphRelief.js';
import type { JobNeed } from './needs.js';
import { refusal } from './refusal.js';

/** What one model does in a pass. */
export interface PassPart {
  readonly admitter: Admitter;
  readonly shape: JobShape;
  /** False: only its size counts, the model does nothing and somebody else may work with it. Default: true. */
  readonly works?: boolean | undefined;
  /** The model that encodes its prompts, where that is another: nothing is measured for it. */
  readonly texts?: Omit<PassPart, 'works' | 'texts'> | undefined;
}

/** Memory of passes that run one after the other. */
export interface PassesAdmission {
  /** For each pass. */
  readonly tilings: readonly Tilings[];
  readonly memoryBudget: number;
  readonly warnings: readonly TiledWarning[];
  readonly release: () => void;
}

interface Measured extends PassPart {
  readonly tilings: Tilings;
  readonly need: JobNeed;
}

/**
 * Lets passes in together: each is measured and gets its tiling; what is reserved is the most that one of them takes,
 * since one runs at a time.
 * @param passes the parts of each pass.
 * @throws DiffusionError `ERR_OUT_OF_MEMORY` before anything was allocated.
 */
export async function admitPasses(
  passes: readonly (readonly PassPart[])[],
  scope: JobScope,
  choice: TilingChoice,
): Promise<PassesAdmission> {
  const given = passes.flat();
  const [one] = given;
  if (one === undefined) throw new Error('No pass to let in');
  const { ledger } = one.admitter.memory;
  const asked = await askedBy(given, scope, choice);
  await refreshGraphs(asked.keys(), scope);
  const measure = async (relief: number): Promise<Measured[][]> => {
    const measured: Measured[][] = [];
    for (const parts of passes) {
      const done: Measured[] = [];
      for (const part of parts) {
        const tilings = await chooseTilings(part.admitter, scope, part.shape, choice, relief);
        done.push({ ...part, tilings, need: await measureNeed(part.admitter, scope, part.shape, tilings) });
      }
      measured.push(done);
    }
    return measured;
  };
  const reserve = async (measured: readonly Measured[]): Promise<Reservation | Shortage> => {
    const withdraw = offerGraphs(await askedOf(measured, scope));
    try {
      return await ledger.reserve(largestNeed(measured), scope.signal);
    } finally {
      withdraw();
    }
  };
  // Only counted: which of the VAE's graphs it will use is not known yet.
  const withdraw = offerGraphs(asked);
  const relief = ledger.spare;
  withdraw();
  let measured = await measure(relief);
  let outcome = await reserve(measured.flat());
  if (!isReservation(outcome) && choice === 'auto') {
    // What was counted on was less than it said.
    measured = await measure(0);
    outcome = await reserve(measured.flat());
  }
  const all = measured.flat();
  if (!isReservation(outcome)) {
    const { admitter, shape, tilings, need } = all.reduce((most, part) =>
      part.need.peak > most.need.peak ? part : most,
    );
    throw await refusal(admitter, scope, shape, tilings, need, outcome);
  }
  const tiled = choice === 'auto' ? all.filter(({ tilings }) => tilings.encode.enabled || tilings.decode.enabled) : [];
  return {
    // The VAE may be another model's than the diffusion model.
    tilings: measured.map((parts) => ({
      encode: parts.find(({ shape }) => shape.encode.length > 0)?.tilings.encode ?? untiled,
      decode: (parts.find(({ shape }) => shape.decode) ?? parts[0])?.tilings.decode ?? untiled,
    })),
    memoryBudget: ledger.limit === undefined ? 0 : Math.max(...all.map(({ need }) => need.peak)),
    warnings: tiled.map(({ tilings, need }) => tiledWarning(tilings, need)),
    release: outcome.release,
  };
}

/** The most that one of them takes, of each device. */
function largestNeed(parts: readonly Measured[]): Need {
  const most = new Map<string, number>();
  for (const { need } of parts)
    for (const [device, bytes] of need.byDevice) most.set(device, Math.max(most.get(device) ?? 0, bytes));
  return most;
}
