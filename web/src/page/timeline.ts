import { type ReadonlySignal, signal } from '@preact/signals';

/** A stretch of time, Unix ms. */
export interface Stretch {
  readonly from: number;
  readonly to: number;
}

/** Shortest and longest stretch that can be looked at, ms. */
const SHORTEST = 100;
const LONGEST = 30 * 86_400_000;

/** How near to now the end of a stretch has to be moved to go on live, as a part of the stretch. */
const AT_NOW = 0.01;

/** Which time all charts show: the window that ends now, or a stretch that stands still. */
export class Timeline {
  /** What stands still, null while the page is live. */
  readonly fixed = signal<Stretch | null>(null);
  /** What is being selected on a chart, null for nothing. */
  readonly selecting = signal<Stretch | null>(null);
  readonly #window: ReadonlySignal<number>;
  readonly #now: () => number;
  readonly #changed: (step: boolean) => void;

  /**
   * `window` is in seconds, `now` is the server's clock. `changed` is called after each change; `step` says whether one would
   * want to go back behind it.
   */
  constructor(window: ReadonlySignal<number>, now: () => number, changed: (step: boolean) => void) {
    this.#window = window;
    this.#now = now;
    this.#changed = changed;
  }

  /** What the charts show at `now`. */
  at(now: number): Stretch {
    return this.fixed.value ?? { from: now - 1000 * this.#window.value, to: now };
  }

  /** Has the paper stand still, or go on. */
  togglePause(): void {
    if (this.fixed.value) this.live();
    else this.#fix(this.#present(), false);
  }

  /** Shows a stretch, larger or smaller than what was shown. */
  zoom(stretch: Stretch): void {
    this.#fix(stretch, true);
  }

  /** Makes what is shown `factor` times as long, around its middle; what reaches now stays there. */
  scale(factor: number): void {
    const { from, to } = this.#present();
    const span = Math.min(Math.max((to - from) * factor, SHORTEST), LONGEST);
    const end = Math.min((from + to + span) / 2, this.#now());
    this.#fix({ from: end - span, to: end }, true);
  }

  /** Moves by a part of what is shown: back where it is negative. At its end the page goes on live. */
  pan(part: number): void {
    const start = this.#present();
    this.slide(start, part * (start.to - start.from));
    this.settle();
  }

  /** Shows `start` moved by `ms`, as far as there is time. */
  slide({ from, to }: Stretch, ms: number): void {
    const by = Math.min(ms, this.#now() - to);
    this.#fix({ from: from + by, to: to + by }, false);
  }

  /** A movement has ended: at now, the page goes on live. */
  settle(): void {
    const fixed = this.fixed.value;
    const window = 1000 * this.#window.value;
    if (!fixed) return;
    const span = fixed.to - fixed.from;
    const isWindow = Math.abs(span - window) < AT_NOW * window;
    if (isWindow && this.#now() - fixed.to < AT_NOW * span) this.live();
  }

  live(): void {
    if (!this.fixed.value) return;
    this.fixed.value = null;
    this.#changed(false);
  }

  /** What is shown now. */
  #present(): Stretch {
    return this.at(this.#now());
  }

  #fix({ from, to }: Stretch, step: boolean): void {
    // The clock is not known before the first message.
    if (!Number.isFinite(from) || !Number.isFinite(to)) return;
    const span = Math.min(Math.max(to - from, SHORTEST), LONGEST);
    const end = Math.min((from + to + span) / 2, Math.max(to, this.#now()));
    this.fixed.value = { from: Math.round(end - span), to: Math.round(end) };
    this.#changed(step);
  }
}
