import type { Samples } from './samples.ts';

/**
 * Samples that wait to be drawn. Plotly draws asynchronously and may take longer than the server takes to send: what
 * comes meanwhile is gathered and drawn together, in order, and no more of it than the chart keeps.
 */
export class Inbox {
  readonly #most: number;
  readonly #draw: (samples: Samples) => Promise<void>;
  readonly #extend: (samples: Samples) => Promise<void>;
  #history: Samples | null = null;
  #x: string[] = [];
  #y: (number | null)[] = [];
  #drawing = false;

  /** Keeps `most` samples. `draw` shows a history in place of everything, `extend` appends to it. */
  constructor(
    most: number,
    draw: (samples: Samples) => Promise<void>,
    extend: (samples: Samples) => Promise<void>,
  ) {
    this.#most = most;
    this.#draw = draw;
    this.#extend = extend;
  }

  /** A history came: whatever still waits is part of it. */
  replace(history: Samples): void {
    this.#history = history;
    this.#x = [];
    this.#y = [];
    void this.#work();
  }

  append({ x, y }: Samples): void {
    this.#x = this.#x.concat(x).slice(-this.#most);
    this.#y = this.#y.concat(y).slice(-this.#most);
    void this.#work();
  }

  async #work(): Promise<void> {
    if (this.#drawing) return;
    this.#drawing = true;
    try {
      while (this.#history || this.#x.length > 0) {
        if (this.#history) {
          const history = this.#history;
          this.#history = null;
          await this.#draw(history);
        } else {
          const samples = { x: this.#x, y: this.#y };
          this.#x = [];
          this.#y = [];
          await this.#extend(samples);
        }
      }
    } finally {
      this.#drawing = false;
    }
  }
}
