export { type LatentFilter, type LatentMode, resizeLatent } from './latentResize.js';
export { cropPixels, type PixelFilter, resizePixels } from './pixelResize.js';
