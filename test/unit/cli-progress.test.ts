import { describe, expect, it } from 'vitest';
import { BarView, formatBar } from '../../lib/cli/progress/bar.js';
import { formatBytes, formatDuration, formatPhase } from '../../lib/cli/progress/format.js';
import { LinesView } from '../../lib/cli/progress/lines.js';
import { createView } from '../../lib/cli/progress/view.js';
import { halfBlocks } from '../../lib/cli/preview/half-blocks.js';
import { itermSequence } from '../../lib/cli/preview/iterm.js';
import { kittySequence } from '../../lib/cli/preview/kitty.js';
import { cellsOf } from '../../lib/cli/preview/painter.js';
import { choosePainter, pictureProtocol } from '../../lib/cli/preview/terminal.js';
import type { CliContext } from '../../lib/cli/context.js';
import type { ProgressEvent } from '../../lib/pipeline/index.js';

const base: ProgressEvent = {
  type: 'progress',
  phase: 'sample',
  step: 5,
  total: 20,
  image: 1,
  images: 1,
  secondsPerStep: 0.5,
  eta: 7.4,
  bytes: 0,
  totalBytes: 0,
  fraction: 0.25,
};

function sink(isTTY = true, columns = 80) {
  const written: string[] = [];
  return { written, output: { isTTY, columns, write: (text: string) => void written.push(text) } };
}

const picture = (width: number, height: number) => {
  const data = Uint8Array.from({ length: width * height * 3 }, (_, i) => i % 256);
  return { width, height, channels: 3 as const, data };
};

describe('formatting', () => {
  it('writes times, sizes and phases for people', () => {
    expect([0, 59.6, 75, 3723].map(formatDuration)).toEqual(['0:00', '1:00', '1:15', '1:02:03']);
    expect([0, 999, 1500, 999_600, 892_969_320, 12e9].map(formatBytes)).toEqual([
      '0 B',
      '999 B',
      '1.5 kB',
      '1.0 MB',
      '893 MB',
      '12 GB',
    ]);
    expect(formatPhase(base)).toBe('sample 5/20');
    expect(formatPhase({ ...base, phase: 'load', bytes: 5e8, totalBytes: 1e9 })).toBe('load 500 MB / 1.0 GB');
  });

  it('fits the bar into the terminal', () => {
    const line = formatBar({ ...base, image: 2, images: 4 }, 100, false);
    expect(line).toMatch(/^sample 5\/20 +\[#{6}\.{18}\] +25% +image 2\/4 +2\.00 steps\/s +ETA 0:07$/);
    for (const columns of [10, 40, 60, 79, 100])
      expect(formatBar(base, columns, false).length).toBeLessThanOrEqual(columns);
  });

  it('colours only when asked to', () => {
    expect(formatBar(base, 100, true)).toContain('\u001b[32m');
    expect(formatBar(base, 100, false)).not.toContain('\u001b');
  });
});

describe('views', () => {
  it('rewrites one line, not more often than eyes can see', () => {
    const { written, output } = sink();
    let time = 0;
    const view = new BarView(output, false, undefined, () => time);
    for (let step = 1; step <= 10; step++) {
      time += 20;
      view.update({ ...base, step });
    }
    expect(written.length).toBeGreaterThan(1);
    expect(written.length).toBeLessThan(6);
    expect(written.join('')).not.toContain('\n');
  });

  it('draws previews above the bar and leaves the cursor where it was', async () => {
    const { written, output } = sink();
    const view = new BarView(
      output,
      false,
      async () => ({ text: 'PICTURE', rows: 4 }),
      () => 0,
    );
    view.update(base);
    await view.finalPicture(picture(2, 2));
    await view.finalPicture(picture(2, 2));
    const text = written.join('');
    expect(text.split('\n').length - 1).toBe(4);
    expect(text.split('\u001b7\u001b[4A\rPICTURE\u001b8').length - 1).toBe(2);
  });

  it('goes on when a picture cannot be painted', async () => {
    const { written, output } = sink();
    const view = new BarView(
      output,
      false,
      () => Promise.reject(new Error('no')),
      () => 0,
    );
    await view.finalPicture(picture(2, 2));
    view.update(base);
    expect(written.join('')).toContain('sample');
  });

  it('writes few lines where nobody watches', () => {
    const { written, output } = sink(false);
    let time = 0;
    const view = new LinesView(output, false, () => time);
    for (let step = 0; step <= 100; step++) {
      time += 100;
      view.update({ ...base, step, total: 100 });
    }
    expect(written[0]).toContain('sample 0/100');
    expect(written.at(-1)).toContain('sample 100/100');
    expect(written.length).toBeLessThan(6);
    for (const line of written) expect(line).not.toContain('\u001b');
  });

  it('are chosen by the terminal', () => {
    const make = (isTTY: boolean, env: CliContext['env'], quiet = false) => {
      const { written, output } = sink(isTTY);
      const context = { stderr: output, env, now: () => 0 } as unknown as CliContext;
      createView(context, { quiet }).update(base);
      return written.join('');
    };
    expect(make(true, {})).toContain('\u001b[32m');
    expect(make(true, { NO_COLOR: '1' })).not.toContain('\u001b[32m');
    expect(make(true, { TERM: 'dumb' })).not.toContain('\r');
    expect(make(false, {})).not.toContain('\r');
    expect(make(true, {}, true)).toBe('');
  });
});

describe('previews', () => {
  it('know terminals by their environment', () => {
    expect(pictureProtocol({ KITTY_WINDOW_ID: '1' })).toBe('kitty');
    expect(pictureProtocol({ TERM: 'xterm-kitty' })).toBe('kitty');
    expect(pictureProtocol({ TERM_PROGRAM: 'iTerm.app' })).toBe('iterm');
    expect(pictureProtocol({ KITTY_WINDOW_ID: '1', TMUX: '/tmp/x' })).toBeUndefined();
    expect(pictureProtocol({ TERM: 'xterm-256color' })).toBeUndefined();
  });

  it('come as blocks only when asked for', () => {
    const env = { COLORTERM: 'truecolor' };
    expect(choosePainter(env, undefined)).toBeUndefined();
    expect(choosePainter(env, true)).toBeDefined();
    expect(choosePainter({ ...env, NO_COLOR: '1' }, true)).toBeUndefined();
    expect(choosePainter({ KITTY_WINDOW_ID: '1' }, undefined)).toBeDefined();
    expect(choosePainter({ KITTY_WINDOW_ID: '1' }, false)).toBeUndefined();
  });

  it('keep the shape of the picture', () => {
    expect(cellsOf(picture(64, 64), 80)).toEqual({ columns: 32, rows: 16 });
    expect(cellsOf(picture(64, 32), 80)).toEqual({ columns: 32, rows: 8 });
    expect(cellsOf(picture(32, 64), 11)).toEqual({ columns: 10, rows: 10 });
  });

  it('paint the colours of the pixels', () => {
    const image = { width: 1, height: 2, channels: 3 as const, data: Uint8Array.of(255, 0, 0, 0, 0, 255) };
    expect(halfBlocks(image, 1, 1)).toBe('\u001b[38;2;255;0;0m\u001b[48;2;0;0;255m▀\u001b[0m');
  });

  it('follow the protocols', () => {
    const chunks = kittySequence('A'.repeat(5000), 32, 16).split('\u001b\\');
    expect(chunks).toHaveLength(3);
    expect(chunks[0]?.slice(1)).toMatch(/^_Ga=T,f=100,[^;]*m=1;A{4096}$/);
    expect(chunks[1]).toBe(`\u001b_Gm=0;${'A'.repeat(904)}`);
    expect(itermSequence('QUJD', 32, 16)).toBe(
      '\u001b]1337;File=inline=1;width=32;height=16;preserveAspectRatio=1:QUJD\u0007',
    );
  });
});
