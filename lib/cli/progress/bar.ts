import type { ProgressEvent } from '../../pipeline/events.js';
import type { RawImage } from '../../image/index.js';
import type { CliOutput } from '../context.js';
import type { Painter } from '../preview/painter.js';
import { formatDetails, formatPercent, formatPhase } from './format.js';
import type { ProgressView } from './view.js';

/** Milliseconds between two drawings of the bar; a terminal is slower than a fast model. */
const interval = 50;
const cells = 24;

/** One line of at most `columns` characters, without control sequences unless `colour`. */
export function formatBar(event: ProgressEvent, columns: number, colour: boolean): string {
  const done = Math.round(Math.min(1, Math.max(0, event.fraction)) * cells);
  const bar = `[${'#'.repeat(done)}${'.'.repeat(cells - done)}]`;
  const phase = formatPhase(event).padEnd(14);
  const rest = ` ${[formatPercent(event).padStart(4), ...formatDetails(event)].join('  ')}`;
  const wide = phase.length + bar.length + rest.length + 1 <= columns;
  const line = wide ? `${phase} ${bar}${rest}` : `${phase}${rest}`.slice(0, columns);
  return wide && colour ? line.replace(bar, `\u001b[32m${bar}\u001b[39m`) : line;
}

/** A single line that is written over again and again, with a picture above it where there is a painter. */
export class BarView implements ProgressView {
  #last: ProgressEvent | undefined;
  #drawnAt = -Infinity;
  #rows = 0;
  #painting: Promise<void> = Promise.resolve();
  #busy = false;
  #closed = false;

  constructor(
    private readonly output: CliOutput,
    private readonly colour: boolean,
    private readonly painter: Painter | undefined,
    private readonly now: () => number,
  ) {}

  get wantsPreviews(): boolean {
    return this.painter !== undefined;
  }

  update(event: ProgressEvent): void {
    const changed = this.#last?.phase !== event.phase || event.step === event.total;
    this.#last = event;
    if (changed || this.now() - this.#drawnAt >= interval) this.#draw();
  }

  preview(image: RawImage): void {
    if (this.#busy || this.painter === undefined) return;
    void this.#paint(this.painter, image);
  }

  async finalPicture(image: RawImage): Promise<void> {
    if (this.painter === undefined) return;
    await this.#painting;
    await this.#paint(this.painter, image);
  }

  /** Takes the bar away, so that others can write; the picture stays. */
  async pause(): Promise<void> {
    await this.#painting;
    if (this.#last !== undefined) this.output.write('\r\u001b[K');
    this.#rows = 0;
  }

  note(line: string): void {
    this.output.write(`${this.#last === undefined ? '' : '\r\u001b[K'}${line}\n`);
    // What is above the bar has moved up.
    this.#rows = 0;
    this.#draw();
  }

  async close(): Promise<void> {
    await this.pause();
    this.#closed = true;
  }

  #draw(): void {
    if (this.#last === undefined || this.#closed) return;
    this.#drawnAt = this.now();
    this.output.write(`\r${formatBar(this.#last, this.output.columns - 1, this.colour)}\u001b[K`);
  }

  #paint(painter: Painter, image: RawImage): Promise<void> {
    this.#busy = true;
    // A picture that cannot be shown is no reason to stop making one.
    this.#painting = this.#show(painter, image)
      .catch(() => undefined)
      .finally(() => {
        this.#busy = false;
      });
    return this.#painting;
  }

  async #show(painter: Painter, image: RawImage): Promise<void> {
    const { text, rows } = await painter(image, this.output.columns);
    if (this.#closed) return;
    let sequence = '\r\u001b[K';
    if (this.#rows !== rows) sequence += '\n'.repeat(rows);
    this.#rows = rows;
    // Save the cursor, go up to the picture's first line, paint, come back.
    this.output.write(`${sequence}\u001b7\u001b[${String(rows)}A\r${text}\u001b8`);
    this.#draw();
  }
}
