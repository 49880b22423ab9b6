export { cacheDir } from './cacheDir.js';
export * from './embedded/index.js';
export {
  checkModelFiles,
  type ModelFileField,
  type ModelFileOptions,
  type ModelPath,
  modelFileFields,
  modelFilePaths,
  readModelHeaders,
} from './files.js';
export {
  type ComponentName,
  type ElidedArray,
  bytesOfType,
  type Metadata,
  type MetadataScalar,
  type MetadataValue,
  type ModelFormat,
  type ModelKind,
  readHeader,
  type TensorHeader,
} from './format/index.js';
export { fileSha256, type FileSha256Options, fileStamp } from './identity.js';
export {
  type DtypeStatistics,
  type InspectedFile,
  type InspectedTensor,
  inspectModel,
  type InspectOptions,
  type ModelInspection,
} from './inspect.js';
export { ComingWeights, type LoadedWeights } from './comingWeights.js';
export { componentsOf, moduleRole } from './modules.js';
export { Residency, type Tenant, type TenantGraphs } from './residency.js';
export { type LoadedNative, type MeasureUnloaded, type OpenNative, ResidentModel } from './resident.js';
export { checkUpscalerFile } from './upscalerFile.js';
