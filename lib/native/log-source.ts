/** Which job a log line of the engine belongs to. */
export interface LogSource {
  /** Name of the model or upscaler, as in `model.info.name`. */
  readonly model?: string;
  /** `load`, `txt2img`, `img2img`, `inpaint`, `encodePrompt`, … */
  readonly kind?: string;
  /** Its id in the queue of that model, as in the events of the queue; absent while loading. */
  readonly job?: number;
}

/** Lines may come after the end of their job, so the last jobs are remembered. */
const most = 256;
const sources = new Map<number, LogSource>();

/** Remembers whose native job an id is ({@link NativeJob.id}). */
export function rememberSource(id: number | undefined, source: LogSource | undefined): void {
  if (id === undefined || source === undefined) return;
  sources.set(id, source);
  for (const oldest of sources.keys()) {
    if (sources.size <= most) break;
    sources.delete(oldest);
  }
}

/** Empty when nothing is known: lines of the engine's own threads, of a backend that starts. */
export function sourceOf(id: number): LogSource {
  return sources.get(id) ?? {};
}
