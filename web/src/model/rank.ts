import type { Line } from './line.ts';

/** Lines that a chart draws; with more, none can be followed. */
export const MOST_LINES = 20;

/** Mean of a line's values from `from` on (Unix ms); of folded lines, of their columns' middles. NaN for none. */
export function mean(line: Line, from: number): number {
  let sum = 0;
  let count = 0;
  const { samples, columns } = line;
  for (let i = samples?.indexAt(from) ?? 0; samples && i < samples.length; i++) {
    const value = samples.value(i);
    if (!Number.isFinite(value)) continue;
    sum += value;
    count++;
  }
  columns?.forEach(Math.floor(from / columns.step), Number.POSITIVE_INFINITY, k => {
    sum += (columns.value(k, 1) + columns.value(k, 2)) / 2;
    count++;
  });
  return sum / count;
}

/**
 * Chooses the lines to draw: all of them while they are few, else those of the highest mean. `chosen` are the keys
 * of the ones drawn so far; they stay, as long as they exist, until somebody asks for a new ranking, because a chart
 * whose lines come and go by themselves cannot be read.
 */
export function choose(lines: readonly Line[], chosen: ReadonlySet<string>, from: number): Line[] {
  if (lines.length <= MOST_LINES) return [...lines];
  const kept = lines.filter(line => chosen.has(line.key)).slice(0, MOST_LINES);
  const others = lines
    .filter(line => !chosen.has(line.key))
    .map(line => ({ line, mean: mean(line, from) }))
    .sort((a, b) => (b.mean || 0) - (a.mean || 0))
    .slice(0, MOST_LINES - kept.length);
  return [...kept, ...others.map(other => other.line)];
}

/** The value of the sample nearest to `t`, NaN where none lies within `reach` ms. */
export function valueNear(line: Line, t: number, reach: number): number {
  const { samples, columns } = line;
  if (columns) {
    let value = Number.NaN;
    const k = Math.floor(t / columns.step);
    columns.forEach(k, k, found => {
      value = columns.value(found, 3);
    });
    return value;
  }
  if (!samples || samples.length === 0) return Number.NaN;
  const after = samples.indexAt(t);
  let nearest = after;
  if (after === samples.length || (after > 0 && t - samples.time(after - 1) <= samples.time(after) - t))
    nearest--;
  return Math.abs(samples.time(nearest) - t) <= reach ? samples.value(nearest) : Number.NaN;
}
