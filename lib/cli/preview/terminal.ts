import { paintHalfBlocks } from './half-blocks.js';
import { paintIterm } from './iterm.js';
import { paintKitty } from './kitty.js';
import type { Painter } from './painter.js';

type Env = Readonly<Record<string, string | undefined>>;

export type PictureProtocol = 'kitty' | 'iterm';

function isSet(value: string | undefined): boolean {
  return value !== undefined && value !== '';
}

/** Colours unless NO_COLOR is set to anything (no-color.org). */
export function wantsColour(env: Env): boolean {
  return !isSet(env.NO_COLOR);
}

/** How the terminal takes pictures, told from its environment; undefined when it takes none, or nobody knows. */
export function pictureProtocol(env: Env): PictureProtocol | undefined {
  // Multiplexers keep the outer terminal's variables but do not pass its pictures on.
  if (isSet(env.TMUX) || isSet(env.STY) || /^(?:screen|tmux)/.test(env.TERM ?? '')) return undefined;
  if (isSet(env.KITTY_WINDOW_ID) || /^xterm-(?:kitty|ghostty)$/.test(env.TERM ?? '')) return 'kitty';
  if (env.TERM_PROGRAM === 'ghostty') return 'kitty';
  if (env.TERM_PROGRAM === 'iTerm.app' || env.TERM_PROGRAM === 'WezTerm' || env.LC_TERMINAL === 'iTerm2')
    return 'iterm';
  return undefined;
}

/** How previews are painted; undefined: not at all. Coloured blocks are coarse, so they come only when asked for. */
export function choosePainter(env: Env, preview: boolean | undefined): Painter | undefined {
  if (preview === false) return undefined;
  const protocol = pictureProtocol(env);
  if (protocol !== undefined) return protocol === 'kitty' ? paintKitty : paintIterm;
  const colours = /^(?:truecolor|24bit)$/.test(env.COLORTERM ?? '') && wantsColour(env);
  return preview === true && colours ? paintHalfBlocks : undefined;
}
