export type { ParityHires, ParityLoad, ParityRequest } from './args.js';
export { expectSameBytes } from './compare.js';
export { draw, drawWithSdCli, readPng } from './draw.js';
export { runSdCli, sdCliPath } from './run.js';
