import type { NativeCompileEvent, NativeEvent } from '../native/index.js';
import type { Phase, PreviewEvent, ProgressEvent } from './events.js';
import { notify } from './listeners.js';

/** A part of a job that the progress counts as a whole. */
export interface Stage {
  readonly phase: Phase;
  /** Image of the batch, from 1; 0: of no image. */
  readonly image: number;
  /** Steps, as far as known before. */
  readonly total: number;
  /** Expected cost; one evaluation of the diffusion model is 1. */
  readonly weight: number;
}

export interface ProgressListeners {
  readonly onProgress?: ((event: ProgressEvent) => void) | undefined;
  readonly onPreview?: ((event: PreviewEvent) => void) | undefined;
  /** A graph was compiled before it ran. */
  readonly onCompile?: ((event: NativeCompileEvent) => void) | undefined;
}

/** One job's progress: turns the addon's events of its stages into public ones. */
export class ProgressTracker {
  readonly #stages: readonly Stage[];
  readonly #images: number;
  readonly #listeners: ProgressListeners;
  readonly #now: () => number;
  readonly #totalWeight: number;
  /** Measured seconds and the weight they bought, by phase. */
  readonly #measured = new Map<Phase, { seconds: number; weight: number }>();
  #index = -1;
  #doneWeight = 0;
  #startedAt = 0;
  #share = 0;
  #fraction = 0;
  #last: ProgressEvent | undefined;

  constructor(
    stages: readonly Stage[],
    images: number,
    listeners: ProgressListeners,
    now = (): number => performance.now(),
  ) {
    this.#stages = stages;
    this.#images = images;
    this.#listeners = listeners;
    this.#now = now;
    this.#totalWeight = stages.reduce((sum, { weight }) => sum + weight, 0) || 1;
  }

  /** Seconds measured in a phase so far. */
  seconds(phase: Phase): number {
    return this.#measured.get(phase)?.seconds ?? 0;
  }

  /** Runs the next stage. `work` passes the listener on to the addon. */
  async stage<T>(work: (onEvent: (event: NativeEvent) => void) => Promise<T>): Promise<T> {
    this.#index++;
    const stage = this.#stages[this.#index];
    if (stage === undefined) throw new RangeError('A job has more stages than were announced');
    this.#startedAt = this.#now();
    this.#share = 0;
    this.#report(stage.phase, 0, stage.total, 0);
    const result = await work((event) => {
      this.#native(stage, event);
    });
    this.#finish(stage);
    return result;
  }

  /**
   * Runs work that was announced only if it was to be expected: the next stage where that has this phase, else beside
   * the stages.
   */
  stageOf<T>(phase: Phase, work: (onEvent: (event: NativeEvent) => void) => Promise<T>): Promise<T> {
    return this.#stages[this.#index + 1]?.phase === phase ? this.stage(work) : work(() => undefined);
  }

  /** Passes over announced stages of these phases that turned out to be needless. */
  skip(...phases: Phase[]): void {
    for (;;) {
      const stage = this.#stages[this.#index + 1];
      if (stage === undefined || !phases.includes(stage.phase)) return;
      this.#index++;
      this.#doneWeight += stage.weight;
      this.#share = 0;
      this.#report(stage.phase, stage.total, stage.total, 0);
    }
  }

  #native(stage: Stage, event: NativeEvent): void {
    if (event.type === 'preview') {
      const preview = event.image as PreviewEvent['preview'];
      notify(this.#listeners.onPreview, {
        type: 'preview',
        step: event.step,
        total: stage.total,
        image: stage.image,
        images: this.#images,
        preview,
      });
      return;
    }
    if (event.type === 'compile') {
      notify(this.#listeners.onCompile, event);
      return;
    }
    const { phase, step, total, secondsPerStep, bytes, totalBytes } = event;
    // Tiles of a preview's VAE run inside a sampling stage; they say nothing about how far that is.
    if (phase === stage.phase || (phase === 'tile' && stage.phase !== 'sample')) {
      this.#share = Math.min(
        1,
        Math.max(this.#share, totalBytes > 0 ? bytes / totalBytes : total > 0 ? step / total : 0),
      );
    }
    this.#report(phase, step, total, secondsPerStep, bytes, totalBytes);
  }

  #finish(stage: Stage): void {
    const before = this.#measured.get(stage.phase) ?? { seconds: 0, weight: 0 };
    const seconds = (this.#now() - this.#startedAt) / 1000;
    this.#measured.set(stage.phase, { seconds: before.seconds + seconds, weight: before.weight + stage.weight });
    this.#doneWeight += stage.weight;
    this.#share = 0;
    const last = this.#last;
    const total = last?.phase === stage.phase ? last.total : stage.total;
    this.#report(stage.phase, total, total, last?.secondsPerStep ?? 0, last?.totalBytes, last?.totalBytes, true);
  }

  #report(
    phase: Phase,
    step: number,
    total: number,
    secondsPerStep: number,
    bytes = 0,
    totalBytes = 0,
    end = false,
  ): void {
    const stage = this.#stages[this.#index];
    if (stage === undefined) return;
    const weight = this.#doneWeight + this.#share * (end ? 0 : stage.weight);
    this.#fraction = Math.max(this.#fraction, Math.min(1, weight / this.#totalWeight));
    const last = this.#last;
    const same = last?.phase === phase && last.step === step && last.total === total && last.image === stage.image;
    if (same && last.bytes === bytes && last.fraction === this.#fraction) return;
    this.#last = {
      type: 'progress',
      phase,
      step,
      total,
      image: stage.image,
      images: this.#images,
      secondsPerStep,
      eta: this.#eta(stage, end),
      bytes,
      totalBytes,
      fraction: this.#fraction,
    };
    notify(this.#listeners.onProgress, this.#last);
  }

  /** Remaining weight of each phase at its measured rate; a phase not met yet goes at the rate of all others. */
  #eta(current: Stage, ended: boolean): number | null {
    const elapsed = (this.#now() - this.#startedAt) / 1000;
    const rates = new Map<Phase, number>();
    let [seconds, weight] = [0, 0];
    const phases = new Set(this.#stages.map((stage) => stage.phase));
    for (const phase of phases) {
      const known = this.#measured.get(phase) ?? { seconds: 0, weight: 0 };
      const running = !ended && phase === current.phase && this.#share > 0;
      const s = known.seconds + (running ? elapsed : 0);
      const w = known.weight + (running ? this.#share * current.weight : 0);
      if (w <= 0) continue;
      rates.set(phase, s / w);
      seconds += s;
      weight += w;
    }
    const isLast = this.#index === this.#stages.length - 1;
    if (ended && isLast) return 0;
    if (weight <= 0) return null;
    // The text encoder tells nothing about the diffusion model, so nothing is promised before that was measured.
    if (phases.has('sample') && !rates.has('sample')) return null;
    const common = seconds / weight;
    let eta = 0;
    for (const [index, stage] of this.#stages.entries()) {
      if (index < this.#index || (index === this.#index && ended)) continue;
      const left = index === this.#index ? stage.weight * (1 - this.#share) : stage.weight;
      eta += left * (rates.get(stage.phase) ?? common);
    }
    return eta;
  }
}
