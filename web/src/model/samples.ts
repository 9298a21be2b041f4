/**
 * The samples of one series, ascending by time, no time twice. Times in Unix milliseconds; NaN is a value that
 * was measured but cannot be drawn.
 *
 * The arrays grow by doubling and slide: dropping old samples moves only an index, and the room in front is
 * reclaimed when the arrays are full.
 */
export class Samples {
  #times = new Float64Array(64);
  #values = new Float64Array(64);
  #from = 0;
  #to = 0;

  get length(): number {
    return this.#to - this.#from;
  }

  /** How many samples there is room for before the arrays grow. */
  get capacity(): number {
    return this.#times.length;
  }

  time(i: number): number {
    return this.#times[this.#from + i]!;
  }

  value(i: number): number {
    return this.#values[this.#from + i]!;
  }

  /** Index of the first sample at or after `t`; `length` when there is none. */
  indexAt(t: number): number {
    let low = this.#from;
    let high = this.#to;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#times[middle]! < t) low = middle + 1;
      else high = middle;
    }
    return low - this.#from;
  }

  /**
   * Puts a sample where it belongs. A sample is identified by its time and the first value wins, so a time
   * that is there already changes nothing; returns whether the sample is new.
   */
  upsert(t: number, v: number): boolean {
    const length = this.length;
    const at = length === 0 || t > this.time(length - 1) ? length : this.indexAt(t);
    if (at < length && this.time(at) === t) return false;
    this.#reserve();
    const place = this.#from + at;
    this.#times.copyWithin(place + 1, place, this.#to);
    this.#values.copyWithin(place + 1, place, this.#to);
    this.#times[place] = t;
    this.#values[place] = v;
    this.#to++;
    return true;
  }

  /** Forgets the samples before `t`, all but the last of them: from it the line enters the chart. */
  dropBefore(t: number): void {
    this.#from += Math.max(0, this.indexAt(t) - 1);
  }

  #reserve(): void {
    if (this.#to < this.#times.length) return;
    const length = this.length;
    const crowded = length > this.#times.length / 2;
    const times = crowded ? new Float64Array(this.#times.length * 2) : this.#times;
    const values = crowded ? new Float64Array(times.length) : this.#values;
    times.set(this.#times.subarray(this.#from, this.#to));
    values.set(this.#values.subarray(this.#from, this.#to));
    this.#times = times;
    this.#values = values;
    this.#from = 0;
    this.#to = length;
  }
}
