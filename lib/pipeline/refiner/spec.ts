import { filePath, number, object, oneOf, optional } from '../../options/index.js';
import { modulesSpec } from '../modulesSpec.js';

/** Of a request, and of a second pass. */
export const refinerSpec = object({
  checkpoint: filePath(),
  switchAt: number({ min: 0, max: 1, default: 0.8 }),
  switchBy: optional(oneOf(['steps', 'timesteps'] as const)),
  modules: optional(modulesSpec),
});

export type CheckedRefiner = ReturnType<typeof refinerSpec.check>;
