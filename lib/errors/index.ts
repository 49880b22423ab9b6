export { DiffusionError, type ErrorCode, type ErrorDetails, errorCodes, invalidOption, show } from './errors.js';
export * from './engine-crash.js';
