import { checkOptions } from '../options/index.js';
import { modelDefaults } from '../pipeline/defaults.js';
import type { ModelFacts } from '../pipeline/facts.js';
import { refuseMaskless } from '../pipeline/inpaint/settings.js';
import type { PassMode } from '../pipeline/request.js';
import { img2imgSpec, inpaintSpec, txt2imgSpec } from '../pipeline/spec.js';

/**
 * Checks a request by the API's own rules before a model is loaded, which may take minutes. What depends on the model
 * (the multiple of the size) is left to the API.
 * @throws DiffusionError `ERR_INVALID_OPTION`, `ERR_INVALID_PROMPT`.
 */
export function checkRequest(mode: PassMode, request: Readonly<Record<string, unknown>>): void {
  // The specs read no more of a model than these.
  const facts = { sizeMultiple: 1, defaults: modelDefaults('', '', false) } as ModelFacts;
  if (mode !== 'inpaint') refuseMaskless(request);
  if (mode === 'txt2img') checkOptions('generate', request, txt2imgSpec(facts));
  else if (mode === 'img2img') checkOptions('img2img', request, img2imgSpec(facts));
  else checkOptions('img2img --mask', request, inpaintSpec(facts));
}
