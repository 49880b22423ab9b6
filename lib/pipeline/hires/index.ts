export { type LatentFilter, type LatentMode, resizeLatent } from './latentResize.js';
export { cropPixels, type PixelFilter, resizePixels } from './pixelResize.js';
export { hiresSize, type HiresSize, type HiresSizeOptions } from './size.js';
export { upscaleLatent } from './upscaleLatent.js';
export { hiresOwnSigmas, hiresSigmas, hiresSteps, type HiresSteps } from './steps.js';
export { type EnlargeByModel, runsOf, upscaleByModel, upscalePixels } from './upscalePixels.js';
export {
  type HiresUpscaler,
  type LatentUpscaler,
  type LatentUpscalerName,
  listUpscalers,
  type ModelUpscaler,
  type PixelUpscaler,
  resolveUpscaler,
  type UpscalerFile,
  type UpscalerInfo,
  type UpscalerInput,
  type UpscalerName,
  upscalerOption,
} from './upscalers.js';
export { relateSpaces, type SpaceRelation } from './spaces.js';
export { type CheckedHires, type HiresPrompts, resolveHires } from './resolve.js';
export { hiresSpec } from './spec.js';
export { startOf } from './start.js';
