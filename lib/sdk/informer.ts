import type { LogSource } from '../native/index.js';
import type { LogLevel } from './types.js';
import { type ModelEvent, notify } from '../pipeline/index.js';

export type Inform = (message: string, source: LogSource) => void;

/** Tells a logger at level `info`. */
export function informer(logger: (level: LogLevel, message: string, source: LogSource) => void): Inform {
  return (message, source) => {
    notify(() => {
      logger('info', message, source);
    }, undefined);
  };
}

/** Tells of what happened to models. */
export function modelLog(tell: Inform) {
  return ({ action, model, reason, ms }: ModelEvent): void => {
    tell(`${action} of "${model}" (${ms.toFixed(0)} ms): ${reason}`, { model, kind: action });
  };
}
