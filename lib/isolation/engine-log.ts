/** Lines that are kept to say what came before an end. */
const most = 64;
/** Characters of a line that are kept. */
const longest = 400;

/** Begins the line that an engine writes when it stops (native/engine/crash.cpp). */
const stopMark = 'node-diffusion: the engine stopped: ';

/** The last lines of an engine's process: its log, and what it wrote to its standard output and error. */
export class EngineLog {
  readonly #lines: string[] = [];
  readonly #open = new Map<string, string>();

  get lines(): readonly string[] {
    const open = [...this.#open.values()].filter((text) => text !== '').map(cut);
    const lines = [...this.#lines, ...open];
    // An engine that could still speak has told its last lines itself, those that came before once more.
    const stopped = lines.findLastIndex((line) => line.startsWith(stopMark));
    return lines.slice(Math.max(stopped, 0)).slice(-most);
  }

  /** Why the engine stopped, in its own words, where it could say so. */
  get reason(): string | undefined {
    return this.lines.find((line) => line.startsWith(stopMark))?.slice(stopMark.length);
  }

  add(line: string): void {
    this.#lines.push(cut(line));
    if (this.#lines.length > most) this.#lines.shift();
  }

  /** Text as it comes from a stream; a line may come in parts. */
  write(stream: string, text: string): void {
    const parts = ((this.#open.get(stream) ?? '') + text).split('\n');
    this.#open.set(stream, (parts.pop() ?? '').slice(-longest));
    for (const part of parts) if (part !== '') this.add(part);
  }
}

function cut(line: string): string {
  return line.length > longest ? `${line.slice(0, longest - 1)}…` : line;
}
