export { invalidImage } from './invalid-image.js';
export { type EncodeOptions, type JpegOptions, type PngOptions, type WebpOptions } from './encode.js';
export { GeneratedImage, type GeneratedImageInit, type SaveOptions } from './generated-image.js';
export {
  buildInfotext,
  type FromInfotextOptions,
  type InfotextParams,
  infotextToMode,
  infotextToModel,
  infotextToRequest,
  type MaskOption,
  type PictureOption,
} from './infotext.js';
export type { InfotextHires } from './infotext-hires.js';
export { fileName, type InfotextFiles, type InfotextModules } from './infotext-names.js';
export type { InfotextRefiner } from './infotext-refiner.js';
export type { InfotextModel, InfotextRequest } from './infotext-fields.js';
export { type ParsedInfotext, parseInfotext } from './infotext-syntax.js';
export { checkPixels, type ImageInput, maxEdge, type Pixels, type RawImage, type RawImageInput } from './pixels.js';
export { readImage, type ReadImageOptions, readMask, type ResizeOptions } from './read-image.js';
export { readInfotext, type ReadInfotextOptions } from './read-infotext.js';
export { resizeTo } from './resizeModes.js';
export { writeFileAtomic } from './write-file.js';
