import { filePath, number, object, optional } from '../../options/index.js';
import { modulesSpec } from '../modulesSpec.js';

/** Of a request, and of a second pass. */
export const refinerSpec = object({
  checkpoint: filePath(),
  switchAt: number({ min: 0, max: 1, default: 0.8 }),
  modules: optional(modulesSpec),
});

export type CheckedRefiner = ReturnType<typeof refinerSpec.check>;
