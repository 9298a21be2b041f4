import type { Line } from './line.ts';

/**
 * What uPlot draws: one ascending list of times for all lines, and for each line a value at each time.
 * `undefined`: this line has nothing to say there and goes on; `null`: it is broken there.
 */
export interface Drawing {
  readonly x: number[];
  readonly ys: (number | null | undefined)[][];
  /** Stretches of time in which every line is broken, ascending. */
  readonly holes: Hole[];
  /** Times of samples that are no numbers and have no place on the paper, ascending. */
  readonly odd: number[];
}

export interface Hole {
  readonly from: number;
  readonly to: number;
}

/**
 * Lays out the lines from `from` to `to`, both Unix ms. `known` is the stretch of which everything is here: what has not
 * arrived yet is no hole.
 */
export function draw(lines: readonly Line[], from: number, to: number, known: Hole = { from, to }): Drawing {
  const strokes = lines.map(line => stroke(line, from, to));
  const open = holes(lines, strokes, Math.max(from, known.from), Math.min(to, known.to));
  const odd = [...new Set(strokes.flatMap(stroke => stroke.odd))].sort((a, b) => a - b);
  return { ...merge(strokes), holes: open, odd };
}

/** One line's points, `null` values included, and the stretches over which it is whole. */
interface Stroke {
  readonly t: number[];
  readonly v: (number | null)[];
  readonly runs: { from: number; to: number }[];
  readonly odd: number[];
}

function stroke(line: Line, from: number, to: number): Stroke {
  const t: number[] = [];
  const v: (number | null)[] = [];
  const runs: { from: number; to: number }[] = [];
  const odd: number[] = [];

  function point(time: number, value: number, joined: boolean): void {
    if (!joined && t.length > 0) {
      const last = t[t.length - 1]!;
      t.push(last + (time - last) / 2);
      v.push(null);
    }
    if (!Number.isFinite(value)) odd.push(time);
    t.push(time);
    v.push(Number.isFinite(value) ? value : null);
    if (joined && runs.length > 0) runs[runs.length - 1]!.to = time;
    else runs.push({ from: time, to: time });
  }

  const { samples, columns, apart } = line;
  if (samples) {
    const end = Math.min(samples.length, samples.indexAt(to) + 1);
    let last = Number.NaN;
    for (let i = Math.max(0, samples.indexAt(from) - 1); i < end; i++) {
      const time = samples.time(i);
      point(time, samples.value(i), !(time - last > apart) && !declared(line, last, time));
      last = time;
    }
  } else if (columns) {
    const { step } = columns;
    let last = Number.NaN;
    columns.forEach(Math.floor(from / step) - 1, Math.floor(to / step) + 1, k => {
      const missing = k - last > 1 && (k - last) * step > apart;
      const joined = !missing && !declared(line, (last + 1) * step - 1, k * step);
      point(k * step, columns.value(k, 0), joined);
      for (const which of [1, 2, 3] as const) point((k + which / 4) * step, columns.value(k, which), true);
      last = k;
    });
  }
  return { t, v, runs, odd };
}

/**
 * Whether a sample may be missing between two times. Times are whole, and a gap excludes its ends: one that begins right
 * before a sample leaves nothing open between that sample and the one before it.
 */
function declared(line: Line, after: number, before: number): boolean {
  return line.gaps.some(gap => gap.from + 1 < before && gap.to - 1 > after);
}

function merge(strokes: readonly Stroke[]): { x: number[]; ys: (number | null | undefined)[][] } {
  const first = strokes[0];
  if (!first) return { x: [], ys: [] };
  // The usual case: all lines come from the same batches, so their times are the same.
  if (strokes.every(s => sameTimes(s.t, first.t))) return { x: first.t, ys: strokes.map(s => s.v) };

  const x: number[] = [];
  const ys = strokes.map((): (number | null | undefined)[] => []);
  const at = strokes.map(() => 0);
  for (;;) {
    let time = Number.POSITIVE_INFINITY;
    for (let i = 0; i < strokes.length; i++)
      time = Math.min(time, strokes[i]!.t[at[i]!] ?? Number.POSITIVE_INFINITY);
    if (time === Number.POSITIVE_INFINITY) return { x, ys };
    x.push(time);
    for (let i = 0; i < strokes.length; i++) {
      const { t, v } = strokes[i]!;
      const next = at[i]!;
      if (t[next] === time) {
        ys[i]!.push(v[next]);
        at[i]!++;
      } else {
        // uPlot breaks a line between the neighbours of a null only: a break has to reach from sample to sample.
        ys[i]!.push(v[next] === null || v[next - 1] === null ? null : undefined);
      }
    }
  }
}

function sameTimes(a: readonly number[], b: readonly number[]): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** The stretches without any line: what the runs of all lines together leave open, from the first run on. */
function holes(lines: readonly Line[], strokes: readonly Stroke[], from: number, to: number): Hole[] {
  const runs = strokes.flatMap(s => s.runs).sort((a, b) => a.from - b.from);
  if (runs.length === 0) return [];
  const out: Hole[] = [];
  const open = (start: number, end: number): void => {
    if (end > from && start < to) out.push({ from: Math.max(start, from), to: Math.min(end, to) });
  };
  let covered = runs[0]!.to;
  for (const run of runs) {
    if (run.from > covered) open(covered, run.from);
    covered = Math.max(covered, run.to);
  }
  if (to - covered > silence(lines)) open(covered, to);
  return out;
}

/** How long lines may be silent before that is a hole at the right end, where the next sample may be on its way, ms. */
function silence(lines: readonly Line[]): number {
  return Math.min(...lines.map(line => line.patience));
}
