import type { ProgressEvent } from '../../pipeline/events.js';
import type { CliOutput } from '../context.js';
import { formatDetails, formatPercent, formatPhase } from './format.js';
import type { ProgressView } from './view.js';

/** Milliseconds between two lines of the same phase: a log is read later, not watched. */
const interval = 5000;

export function formatLine(event: ProgressEvent): string {
  return [formatPhase(event), formatPercent(event), ...formatDetails(event)].join(', ');
}

/** A line when a phase begins and ends, and now and then in between. */
export class LinesView implements ProgressView {
  readonly wantsPreviews = false;
  #part = '';
  #line = '';
  #writtenAt = -Infinity;

  constructor(
    private readonly output: CliOutput,
    private readonly quiet: boolean,
    private readonly now: () => number,
  ) {}

  update(event: ProgressEvent): void {
    if (this.quiet) return;
    const part = `${event.phase} ${String(event.image)}`;
    const ended = event.total > 0 && event.step === event.total;
    if (part === this.#part && !ended && this.now() - this.#writtenAt < interval) return;
    const line = formatLine(event);
    this.#part = part;
    this.#writtenAt = this.now();
    if (line === this.#line) return;
    this.#line = line;
    this.output.write(`${line}\n`);
  }

  preview(): void {
    // Nowhere to show it.
  }

  finalPicture(): Promise<void> {
    return Promise.resolve();
  }

  pause(): Promise<void> {
    return Promise.resolve();
  }

  note(line: string): void {
    this.output.write(`${line}\n`);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
