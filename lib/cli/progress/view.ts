import type { RawImage } from '../../image/index.js';
import type { ProgressEvent } from '../../pipeline/events.js';
import { choosePainter, wantsColour } from '../preview/terminal.js';
import type { CliContext } from '../context.js';
import { BarView } from './bar.js';
import { LinesView } from './lines.js';

/** Where progress is shown. */
export interface ProgressView {
  /** False: nothing is done with previews, so none need be made. */
  readonly wantsPreviews: boolean;
  update(event: ProgressEvent): void;
  preview(image: RawImage): void;
  /** The finished picture in the place of its previews. */
  finalPicture(image: RawImage): Promise<void>;
  /** After it, others may write to the terminal until the next call. */
  pause(): Promise<void>;
  /** A line of text that stays: a warning, a message of the engine. */
  note(line: string): void;
  close(): Promise<void>;
}

export interface ViewOptions {
  readonly quiet?: boolean | undefined;
  /** True: previews by any means; false: none; undefined: where the terminal shows pictures. */
  readonly preview?: boolean | undefined;
}

/** A bar on a terminal, sparse lines elsewhere (pipes, logs, TERM=dumb), notes alone when quiet. */
export function createView({ stderr, env, now }: CliContext, { quiet = false, preview }: ViewOptions): ProgressView {
  const bar = !quiet && stderr.isTTY && env.TERM !== 'dumb';
  const painter = bar ? choosePainter(env, preview) : undefined;
  const view = bar ? new BarView(stderr, wantsColour(env), painter, now) : new LinesView(stderr, quiet, now);
  if (preview === true && painter === undefined && !quiet) {
    view.note(
      'node-diffusion: no previews: they need a terminal on stderr that shows pictures (kitty, iTerm2) or 24-bit colours (COLORTERM=truecolor).',
    );
  }
  return view;
}
