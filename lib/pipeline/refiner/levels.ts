import { DiffusionError } from '../../errors/index.js';
import { JobScope } from '../../native/index.js';
import type { Pass } from '../plan.js';
import type { ModelContext } from '../prompts.js';
import { passSigmas } from '../steps.js';
import type { RunLevels } from './switchPoint.js';

const timesteps = 1000;

/**
 * Noise levels of a run and of its model's timesteps. They depend on the architecture and not on the weights, so any
 * model of the kind that is in memory can tell them.
 * @param candidates the model of the run, then others.
 * @param first the job's own model.
 * @throws DiffusionError `ERR_MODEL_UNSUPPORTED` where none is in memory, naming the field.
 */
export async function levelsOf(
  pass: Pass,
  candidates: readonly ModelContext[],
  first: ModelContext,
  field: string,
  signal: AbortSignal | undefined,
): Promise<RunLevels> {
  const [own] = candidates;
  const alike = candidates.filter(
    ({ facts }) => facts.architecture === own?.facts.architecture && facts.prediction === own.facts.prediction,
  );
  // The job's own model is needed anyway: where it is not in memory it is read now.
  const model = alike.find(({ presence }) => presence?.loaded !== false) ?? alike.find((one) => one === first);
  if (model === undefined) {
    const name = own?.facts.name ?? '';
    const hint = `Load "${name}" with runtime.loadModel, or use switchBy: 'steps'.`;
    const message = `"${field}": the timesteps of "${name}" are not known before it is in memory. ${hint}`;
    throw new DiffusionError('ERR_MODEL_UNSUPPORTED', message, { field, given: 'timesteps', hint });
  }
  const scope = new JobScope(signal ?? new AbortController().signal);
  const { width, height } = pass;
  const { sampler, schedule, flowShift } = pass.sampling;
  const ask = (steps: number, of: string): Promise<Float32Array> =>
    scope.run(() => model.native.sigmas({ steps, schedule: of, sampler, width, height, flowShift }));
  const table = await ask(timesteps, 'discrete');
  return {
    sigmas: await passSigmas(pass, (steps) => ask(steps, schedule)),
    table: table.slice(0, timesteps).reverse(),
  };
}
