/** Something that is drawn when it changed. */
export interface Drawable {
  /** Draws, or leaves it for later; `now` is the server's clock in whole Unix ms. */
  draw(now: number): void;
}

/**
 * The page's one animation loop. A frame is asked for only when something changed, and draws only what did, so
 * a page at rest costs nothing; the browser itself withholds frames from a hidden tab.
 */
export class Loop {
  readonly #now: () => number;
  readonly #dirty = new Set<Drawable>();
  #frame = 0;

  /** `now` returns the server's clock in Unix ms. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** Has `drawable` drawn in the next frame. */
  mark(drawable: Drawable): void {
    this.#dirty.add(drawable);
    this.#frame ||= requestAnimationFrame(() => this.#draw());
  }

  /** Forgets `drawable`. */
  remove(drawable: Drawable): void {
    this.#dirty.delete(drawable);
  }

  #draw(): void {
    this.#frame = 0;
    const now = Math.round(this.#now());
    const dirty = [...this.#dirty];
    this.#dirty.clear();
    for (const drawable of dirty) {
      try {
        drawable.draw(now);
      } catch (error) {
        reportError(error); // the others are drawn all the same
      }
    }
  }
}
