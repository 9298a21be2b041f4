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
