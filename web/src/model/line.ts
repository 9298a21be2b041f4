import { isCollected } from './collected.ts';
import { Columns } from './columns.ts';
import { identity } from './labels.ts';
import { MOST_DISTANCES, promisedPatience, seenPatience } from './rhythm.ts';
import { Samples } from './samples.ts';
import type { ColumnBlock, Labels } from './wire.ts';

/** The span that a chart shows, in ms, and how many values a line holds for it before it is folded. */
export interface Extent {
  readonly window: number;
  readonly points: number;
}

/** A stretch of time, both ends excluded, in which samples are known to be missing. */
export interface DeclaredGap {
  readonly from: number;
  readonly to: number;
  readonly reason: string;
}

/** A line with a promised rhythm whose samples are more than this many intervals apart is broken there; docs/PROTOCOL.md. */
const BREAK = 3;

/** A series is looked at for its rhythm again after this much of its time, ms. */
const JUDGED_FOR = 1_000;

/** How far over its points a line may be: a server that sends just as many as fit must not make it fold. */
const SLACK = 1.25;

/** Gaps that a line remembers; the oldest is forgotten first. */
const MAX_GAPS = 64;

/** A sample further ahead of the server's clock than this is not believed: the server takes a minute at most. */
const MAX_AHEAD = 10 * 60_000;

/**
 * A series as a chart holds it. Raw samples while they fit into the extent's points, columns from then on; it
 * never goes back, a bootstrap makes a new line. Either way memory is bounded.
 */
export class Line {
  readonly labels: Labels;
  /** Its identity: equal for equal labels, on every server. */
  readonly key: string;
  /** Whether it comes in a steady rhythm, so that a pause is an outage. */
  readonly steady: boolean;
  /** Usual distance of samples in ms, 0 while unknown. */
  interval: number;
  readonly #extent: Extent;
  #samples: Samples | null = new Samples();
  #columns: Columns | null = null;
  #gaps: DeclaredGap[] = [];
  #newestTime = Number.NEGATIVE_INFINITY;
  #newestValue = Number.NaN;
  /** What `patience` was for which newest sample. */
  #judged = { newest: Number.NaN, patience: Number.POSITIVE_INFINITY };

  constructor(labels: Labels, interval: number, extent: Extent) {
    this.labels = labels;
    this.key = identity(labels);
    this.steady = isCollected(labels);
    this.interval = interval;
    this.#extent = extent;
  }

  /** The samples as they came, or null when they were folded. */
  get samples(): Samples | null {
    return this.#samples;
  }

  /** The folded samples, or null while all of them are held. */
  get columns(): Columns | null {
    return this.#columns;
  }

  get gaps(): readonly DeclaredGap[] {
    return this.#gaps;
  }

  /** Time of the newest sample, -Infinity while there is none. Of columns from the server, when they end. */
  get newestTime(): number {
    return this.#newestTime;
  }

  /** Value of the newest sample, NaN while there is none. */
  get newestValue(): number {
    return this.#newestValue;
  }

  /** How long it may be silent before that is an outage, ms; Infinity where nobody can tell. */
  get patience(): number {
    if (this.steady) return promisedPatience(this.interval);
    // Every second will do: a fast series need not be looked at with every sample.
    if (!(this.#newestTime < this.#judged.newest + JUDGED_FOR))
      this.#judged = {
        newest: this.#newestTime,
        patience: seenPatience(this.#newestTimes(), this.#columns?.step),
      };
    return this.#judged.patience;
  }

  /** Samples that are further apart than this are not joined, ms. */
  get apart(): number {
    if (!this.steady) return this.patience;
    return this.interval > 0 ? BREAK * this.interval : Number.POSITIVE_INFINITY;
  }

  /** Takes a sample, late or not, any number of times. `now` is the server's clock. */
  add(t: number, v: number, now: number): void {
    if (t > now + MAX_AHEAD || t < now - 2 * this.#extent.window) return;
    if (t > this.#newestTime) {
      this.#newestTime = t;
      this.#newestValue = v;
    }
    if (this.#columns) {
      this.#columns.fold(t, v);
      return;
    }
    const samples = this.#samples!;
    samples.upsert(t, v);
    if (samples.length > SLACK * this.#extent.points) {
      samples.dropBefore(now - this.#extent.window);
      if (samples.length > SLACK * this.#extent.points) this.#fold(this.#ownStep());
    }
  }

  /** Takes row `row` of a block of columns. `now` is the server's clock. */
  addColumns(block: ColumnBlock, row: number, now: number): void {
    if (!this.#columns || this.#columns.step < block.step) this.#fold(block.step);
    const columns = this.#columns!;
    const ys = block.ys[row]!;
    for (let i = 0; 4 * i < ys.length; i++) {
      const from = block.x0 + i * block.step;
      const low = ys[4 * i + 1]!;
      if (Number.isNaN(low) || from > now + MAX_AHEAD) continue;
      const last = ys[4 * i + 3]!;
      if (columns.step === block.step) {
        columns.foldColumn(from / block.step, now, ys[4 * i]!, low, ys[4 * i + 2]!, last);
      } else {
        for (let quarter = 0; quarter < 4; quarter++) {
          columns.fold(from + (quarter * block.step) / 4, ys[4 * i + quarter]!);
        }
      }
      const end = Math.min(from + block.step - 1, now);
      if (end > this.#newestTime) {
        this.#newestTime = end;
        this.#newestValue = last;
      }
    }
  }

  /** Notes that samples are missing; the same gap twice is one. */
  addGap(gap: DeclaredGap): void {
    if (this.#gaps.some(g => g.from === gap.from && g.to === gap.to)) return;
    this.#gaps = [...this.#gaps, gap].sort((a, b) => a.from - b.from).slice(-MAX_GAPS);
  }

  /** Forgets what lies before the window that ends at `now`, but for one sample, where the line enters. */
  trim(now: number): void {
    const start = now - this.#extent.window;
    this.#samples?.dropBefore(start);
    if (this.#gaps.length > 0) this.#gaps = this.#gaps.filter(gap => gap.to >= start);
  }

  /** Whether nothing of this line lies in the window that ends at `now`. */
  isOver(now: number): boolean {
    return this.#newestTime < now - this.#extent.window;
  }

  /** The step on which the server would fold this extent: points/4 columns to the window. */
  #ownStep(): number {
    return Math.max(1, Math.ceil((4 * this.#extent.window) / this.#extent.points));
  }

  /** Times of the newest samples; of folded ones those of their columns. */
  #newestTimes(): number[] {
    const times: number[] = [];
    const { length = 0 } = this.#samples ?? {};
    for (let i = Math.max(0, length - MOST_DISTANCES - 1); i < length; i++)
      times.push(this.#samples!.time(i));
    const columns = this.#columns;
    columns?.forEach(Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY, k => times.push(k * columns.step));
    return times.slice(-MOST_DISTANCES - 1);
  }

  #fold(step: number): void {
    const ahead = Math.min(MAX_AHEAD, this.#extent.window);
    const columns = new Columns(step, Math.ceil((this.#extent.window + ahead) / step) + 2);
    const samples = this.#samples;
    for (let i = 0; samples && i < samples.length; i++) columns.fold(samples.time(i), samples.value(i));
    const finer = this.#columns;
    finer?.forEach(Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY, k => {
      for (const which of [0, 1, 2, 3] as const) {
        columns.fold((k + which / 4) * finer.step, finer.value(k, which));
      }
    });
    this.#samples = null;
    this.#columns = columns;
  }
}
