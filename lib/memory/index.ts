export { formatBytes } from './format.js';
export { host, MemoryLedger, type Need, type Reservation, type Shortage, totalOf } from './ledger.js';
export { availableMemory, processRss } from './system.js';
