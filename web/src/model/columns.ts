/**
 * A series folded for a long window: for each column of time its first, lowest, highest and last value (M4),
 * which draws the same line as all of its samples would. Columns are [k*step, (k+1)*step) for whole k, the
 * grid on which the server folds too, so what it sends and what the page folds itself merge.
 *
 * A ring over the column's number k: storing a newer column overwrites the oldest, so memory is fixed.
 */
export class Columns {
  /** Width of a column in ms. */
  readonly step: number;
  readonly #capacity: number;
  /** First, lowest, highest, last of each place. */
  readonly #cells: Float64Array;
  /** Times of the first and the last sample of each place, to judge where a late one belongs. */
  readonly #ends: Float64Array;
  /** Which column a place holds, NaN for none. */
  readonly #numbers: Float64Array;
  #newest = Number.NEGATIVE_INFINITY;

  /** `step` in ms above 0; `capacity` in columns, at least 1. */
  constructor(step: number, capacity: number) {
    this.step = step;
    this.#capacity = capacity;
    this.#cells = new Float64Array(4 * capacity);
    this.#ends = new Float64Array(2 * capacity);
    this.#numbers = new Float64Array(capacity).fill(Number.NaN);
  }

  /** Number of the newest column, -Infinity while there is none. */
  get newest(): number {
    return this.#newest;
  }

  /** Number of the oldest column that there is room for, -Infinity while there is none. */
  get oldest(): number {
    return this.#newest - this.#capacity + 1;
  }

  /** Calls `visit` for each column from `from` to `to`, both included, that has a sample, ascending. */
  forEach(from: number, to: number, visit: (k: number) => void): void {
    if (this.#newest === Number.NEGATIVE_INFINITY) return;
    const end = Math.min(to, this.#newest);
    for (let k = Math.max(from, this.oldest); k <= end; k++) {
      if (this.#numbers[this.#place(k)] === k) visit(k);
    }
  }

  /** One of the four values of column `k`, which must have a sample: 0 first, 1 lowest, 2 highest, 3 last. */
  value(k: number, which: 0 | 1 | 2 | 3): number {
    return this.#cells[4 * this.#place(k) + which]!;
  }

  /** Folds one sample in. Folding it again changes nothing. NaN cannot be drawn and is left out. */
  fold(t: number, v: number): void {
    this.#merge(Math.floor(t / this.step), t, t, v, v, v, v);
  }

  /**
   * Folds a whole column of the same step in: what the server knows of column `k` up to `now`. That its ends
   * are the column's ends is assumed; of a column that is still being written, `now` is the end so far.
   */
  foldColumn(k: number, now: number, first: number, low: number, high: number, last: number): void {
    const end = Math.min((k + 1) * this.step - 1, now);
    this.#merge(k, k * this.step, end, first, low, high, last);
  }

  #merge(k: number, from: number, to: number, first: number, low: number, high: number, last: number): void {
    if (Number.isNaN(low) || k < this.oldest) return;
    this.#newest = Math.max(this.#newest, k);
    const place = this.#place(k);
    const cell = 4 * place;
    const ends = 2 * place;
    const fresh = this.#numbers[place] !== k;
    if (fresh || from < this.#ends[ends]!) {
      this.#cells[cell] = first;
      this.#ends[ends] = from;
    }
    if (fresh || low < this.#cells[cell + 1]!) this.#cells[cell + 1] = low;
    if (fresh || high > this.#cells[cell + 2]!) this.#cells[cell + 2] = high;
    if (fresh || to > this.#ends[ends + 1]!) {
      this.#cells[cell + 3] = last;
      this.#ends[ends + 1] = to;
    }
    this.#numbers[place] = k;
  }

  #place(k: number): number {
    return ((k % this.#capacity) + this.#capacity) % this.#capacity;
  }
}
