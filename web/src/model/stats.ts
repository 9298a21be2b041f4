import type { Line } from './line.ts';

/** What a line comes to over a stretch of time. */
export interface Stats {
  readonly min: number;
  readonly mean: number;
  readonly max: number;
}

/**
 * The least, mean and greatest value of a line from `from` to `to`, both included, Unix ms; null where it has no value. Of
 * folded lines the mean is that of the middles of their columns.
 */
export function statsOf(line: Line, from: number, to: number): Stats | null {
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  let mean = 0;
  let count = 0;
  const take = (low: number, high: number): void => {
    if (!Number.isFinite(low) || !Number.isFinite(high)) return;
    if (low < min) min = low;
    if (high > max) max = high;
    // Halves and a running mean: a sum of the largest floats would be none.
    count++;
    mean += (low / 2 + high / 2) / count - mean / count;
  };
  const { samples, columns } = line;
  for (let i = samples?.indexAt(from) ?? 0; samples && i < samples.length && samples.time(i) <= to; i++)
    take(samples.value(i), samples.value(i));
  if (columns) {
    const { step } = columns;
    columns.forEach(Math.floor(from / step), Math.floor(to / step), k => {
      take(columns.value(k, 1), columns.value(k, 2));
    });
  }
  return count > 0 ? { min, mean, max } : null;
}

/** A change of less than this part of what the line spans is none. */
const STEADY = 1 / 6;

/** Whether a line rises, falls or keeps steady from `from` to `to`: its last third beside its first. */
export function trendOf(line: Line, from: number, to: number): 'rising' | 'falling' | 'steady' {
  const third = (to - from) / 3;
  const [all, first, last] = [
    statsOf(line, from, to),
    statsOf(line, from, from + third),
    statsOf(line, to - third, to),
  ];
  if (!all || !first || !last) return 'steady';
  const change = last.mean / 2 - first.mean / 2;
  if (Math.abs(change) <= STEADY * (all.max / 2 - all.min / 2)) return 'steady';
  return change > 0 ? 'rising' : 'falling';
}
