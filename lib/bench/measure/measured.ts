import type { Row } from '../statistics.js';

/** What a benchmark found. */
export interface Measured {
  /** What was compared with what, and how, in sentences. */
  readonly compared: string;
  readonly rows: readonly Row[];
  readonly notes: readonly string[];
  /** Versions of the peer. */
  readonly peer?: Readonly<Record<string, unknown>> | undefined;
}
