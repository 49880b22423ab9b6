import type { NativeEvent, NativeUpscaler } from '../native/index.js';
import type { EnlargeWithModel } from '../pipeline/index.js';

type Open = (
  file: string,
  tileSize: number,
  signal: AbortSignal,
  onEvent: (event: NativeEvent) => void,
) => Promise<NativeUpscaler>;

/** The upscaler model of hires passes: the last one that was used stays loaded. Owner: the runtime. */
export class SharedUpscaler {
  readonly #open: Open;
  #last: { readonly key: string; readonly native: NativeUpscaler } | undefined;
  /** One after the other: a change of models must not meet a picture that is being enlarged. */
  #busy: Promise<unknown> = Promise.resolve();

  constructor(open: Open) {
    this.#open = open;
  }

  readonly enlarge: EnlargeWithModel = ({ file, tileSize }, picture, scope, onEvent) => {
    const work = this.#busy.then(async () => {
      scope.check();
      const native = await this.#get(file, tileSize, scope.signal, onEvent);
      scope.check();
      const result = await scope.run(() => native.upscale(picture, onEvent));
      return result;
    });
    this.#busy = work.catch(() => scope.idle());
    return work;
  };

  async dispose(): Promise<void> {
    await this.#busy;
    const last = this.#last;
    this.#last = undefined;
    await last?.native.dispose();
  }

  async #get(
    file: string,
    tileSize: number,
    signal: AbortSignal,
    onEvent: (event: NativeEvent) => void,
  ): Promise<NativeUpscaler> {
    const key = JSON.stringify([file, tileSize]);
    if (this.#last?.key === key) return this.#last.native;
    await this.#last?.native.dispose();
    this.#last = undefined;
    const native = await this.#open(file, tileSize, signal, onEvent);
    this.#last = { key, native };
    return native;
  }
}
