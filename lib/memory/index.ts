export { formatBytes } from './format.js';
export {
  host,
  MemoryLedger,
  type GraphBytes,
  type Need,
  type Relief,
  type Reservation,
  type Shortage,
  sumBytes,
  totalOf,
} from './ledger.js';
export { threadLimit } from './processors.js';
export { outOfMemory, whereOf } from './shortage.js';
export { availableMemory, memoryOfProcess, peakRss, processRss } from './system.js';
