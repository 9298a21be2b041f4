/**
 * The server's clock, as far as the page can tell. Browsers' clocks are often wrong, so they are never asked;
 * the page's own measure is `performance.now()`, which only counts.
 *
 * Every message says when it left. The one that took the shortest way shows the smallest lag, so of the last
 * ones the most advanced counts; a way shorter than zero cannot be, so this is never ahead of the server.
 */
export class ServerClock {
  readonly #elapsed: () => number;
  #offsets: number[] = [];

  /** `elapsed` returns milliseconds since any fixed moment, like `performance.now()`. */
  constructor(elapsed: () => number) {
    this.#elapsed = elapsed;
  }

  /** Whether any message was seen yet. */
  get isSet(): boolean {
    return this.#offsets.length > 0;
  }

  /** Notes that a message just arrived that left the server when its clock showed `now`. */
  observe(now: number): void {
    const offset = now - this.#elapsed();
    // A server's clock that was set back would otherwise look like lag until the old observations are gone.
    if (this.isSet && offset < Math.max(...this.#offsets) - SET_BACK) this.#offsets = [];
    this.#offsets.push(offset);
    if (this.#offsets.length > OBSERVATIONS) this.#offsets.shift();
  }

  /** The server's time now, Unix ms; NaN before the first message. */
  now(): number {
    return this.isSet ? Math.max(...this.#offsets) + this.#elapsed() : Number.NaN;
  }
}

/** Half a minute of messages at one a second: long enough to hold a fast one, short enough to follow a drift. */
const OBSERVATIONS = 30;

/** Lag above this many ms is taken for a clock that was set back. */
const SET_BACK = 5_000;
