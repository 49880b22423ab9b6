import { invalidOption } from '../errors/index.js';

/**
 * A1111's infotext: the prompt, `Negative prompt: …`, and one line `Key: value, Key: value`. Written from the
 * behaviour of `create_infotext` (modules/processing.py) and `parse_generation_parameters` (modules/infotext_utils.py)
 * of version 1.10.
 */
export interface ParsedInfotext {
  readonly prompt: string;
  readonly negativePrompt: string;
  /** A1111's `Clip skip`; a text without it means 1, "as the model likes it". */
  readonly clipSkip: number;
  /** Pairs of the last line, values without their quotes. Empty when that line is part of a prompt. */
  readonly parameters: Readonly<Record<string, string>>;
}

const negativeMark = 'Negative prompt:';

/** The last line counts as parameters only with at least so many pairs. */
const fewestPairs = 3;

/** What Python's `str.strip` takes off, which differs from `String.prototype.trim`. */
const pythonSpace = '[\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]';
const leadingSpace = new RegExp(`^${pythonSpace}+`);

function strip(text: string): string {
  const head = text.replace(leadingSpace, '');
  // Backwards by hand: a regular expression anchored at the end takes quadratic time on long runs of blanks.
  let end = head.length;
  while (end > 0 && leadingSpace.test(head.charAt(end - 1))) end--;
  return head.slice(0, end);
}

/** True for keys that {@link parseInfotext} reads back. */
export function isInfotextKey(key: string): boolean {
  return /^[\p{L}\p{N}_][\p{L}\p{N}_ \-/]+$/u.test(key);
}

/**
 * Parses infotext of this package or of A1111. Never throws for a text; text without parameters is all prompt.
 * @throws DiffusionError `ERR_INVALID_OPTION` for what is no string.
 */
export function parseInfotext(text: string): ParsedInfotext {
  if (typeof text !== 'string') throw invalidOption('infotext', text, 'a string');
  const lines = strip(text).split('\n');
  let pairs = parsePairs(lines[lines.length - 1] ?? '');
  if (pairs.length < fewestPairs) pairs = [];
  else lines.pop();

  const prompts: [positive: string[], negative: string[]] = [[], []];
  let part: 0 | 1 = 0;
  for (const raw of lines) {
    let line = strip(raw);
    if (line.startsWith(negativeMark)) {
      part = 1;
      line = strip(line.slice(negativeMark.length));
    }
    // As long as a part is empty, a blank line adds nothing to it.
    if (line !== '' || prompts[part].length > 0) prompts[part].push(line);
  }
  // As in A1111: pairs without a value count above but set nothing; pairs named like the prompts replace them.
  const values = pairs.filter(([, value]) => value !== '').map(([key, value]) => [key, unquote(value)] as const);
  const { Prompt, 'Negative prompt': negative, ...parameters } = Object.fromEntries(values) as Record<string, string>;
  const clipSkip = Number(parameters['Clip skip'] ?? 1);
  return {
    prompt: Prompt ?? prompts[0].join('\n'),
    negativePrompt: negative ?? prompts[1].join('\n'),
    clipSkip: Number.isInteger(clipSkip) ? clipSkip : 1,
    parameters,
  };
}

const keyRun = /[\p{L}\p{N}_ \-/]+/gu;
const keyStart = /[\p{L}\p{N}_]/u;
const quoted = /"(?:\\.|[^\\"])+"(?=,|$)/y;
const plain = /[^,]*/y;

/**
 * All `key: value` pairs of a line, the value up to a comma or a JSON string with its quotes, perhaps empty.
 * Same pairs as A1111's regular expression finds, in linear time.
 */
function parsePairs(line: string): [key: string, value: string][] {
  const pairs: [string, string][] = [];
  keyRun.lastIndex = 0;
  for (let run = keyRun.exec(line); run !== null; run = keyRun.exec(line)) {
    const end = run.index + run[0].length;
    const start = run[0].search(keyStart);
    if (line[end] !== ':' || start < 0 || run[0].length - start < 2) continue;
    let at = end + 1;
    while (at < line.length && leadingSpace.test(line.charAt(at))) at++;
    const value = sticky(quoted, line, at) ?? sticky(plain, line, at) ?? '';
    pairs.push([run[0].slice(start), value]);
    keyRun.lastIndex = at + value.length;
  }
  return pairs;
}

function sticky(pattern: RegExp, text: string, at: number): string | undefined {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0];
}

function unquote(value: string): string {
  if (!value.startsWith('"') || !value.endsWith('"')) return value;
  try {
    const parsed: unknown = JSON.parse(value);
    return typeof parsed === 'string' ? parsed : value;
  } catch {
    return value;
  }
}

/** A value as it stands behind `key: `; JSON when it would not be read back as it is. */
function quote(value: string): string {
  const control = Array.from(value).some((character) => character < ' ');
  const safe = value !== '' && !control && !/[,:]/.test(value) && !value.startsWith('"') && strip(value) === value;
  return safe ? value : JSON.stringify(value);
}

/**
 * Writes infotext. Prompts that the format cannot carry as they are (blanks at the ends of lines, a line that begins
 * with `Negative prompt:`) are repeated, quoted, as parameters, which A1111 reads too.
 * @param pairs At least three, or they are not read back; keys as {@link isInfotextKey} allows.
 */
export function formatInfotext(
  prompt: string,
  negativePrompt: string,
  pairs: readonly (readonly [string, string])[],
): string {
  const all = pairs.map(([key, value]) => `${key}: ${quote(value)}`);
  const head = negativePrompt === '' ? prompt : `${prompt}\n${negativeMark} ${negativePrompt}`;
  const write = (): string => strip(`${head}\n${all.join(', ')}`);
  const read = parseInfotext(write());
  if (read.prompt !== prompt) all.push(`Prompt: ${quote(prompt)}`);
  if (read.negativePrompt !== negativePrompt) all.push(`Negative prompt: ${JSON.stringify(negativePrompt)}`);
  return write();
}
