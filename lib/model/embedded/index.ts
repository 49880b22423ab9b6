export {
  type EmbeddedModelFiles,
  type EmbeddedProgress,
  ensureEmbeddedModel,
  type EnsureEmbeddedOptions,
} from './ensure.js';
export { type EmbeddedFileInfo, type EmbeddedModelInfo, embeddedModelInfo } from './info.js';
