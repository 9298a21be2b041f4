/** A line's values over times that it shares with others; see model/drawing.ts. */
type Values = readonly (number | null | undefined)[];

/** How many times of other lines lie between two of one's own, at most, where a value is looked for nearby. */
const REACH = 8;

/** Samples without a neighbour, which a line alone would not show. null where there are none, as uPlot wants it. */
export function isolated(ys: Values): number[] | null {
  const out: number[] = [];
  for (let i = 0; i < ys.length; i++) {
    if (typeof ys[i] === 'number' && !joined(ys, i, -1) && !joined(ys, i, 1)) out.push(i);
  }
  return out.length > 0 ? out : null;
}

/** Whether a line has no other values than 0 and 1, and one at least. */
export function isState(ys: Values): boolean {
  let some = false;
  for (const value of ys) {
    if (typeof value !== 'number') continue;
    if (value !== 0 && value !== 1) return false;
    some = true;
  }
  return some;
}

/** Whether a time lies in a stretch, whose ends are excluded. */
export function isInside(
  time: number,
  { from, to }: { readonly from: number; readonly to: number },
): boolean {
  return time > from && time < to;
}

/** The line's own value nearest to index `i`; null where it has none there or is broken. */
export function nearestOwn(ys: Values, i: number): number | null {
  for (let distance = 0; distance <= REACH; distance++) {
    for (const k of [i - distance, i + distance]) {
      if (typeof ys[k] === 'number') return k;
      if (ys[k] === null) return null;
    }
  }
  return null;
}

/** The index of the time nearest to `time` of those that `counts` accepts, within a few of each other; null for none. */
export function nearestTime(
  x: readonly number[],
  time: number,
  counts: (i: number) => boolean,
): number | null {
  let low = 0;
  let high = x.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (x[middle]! < time) low = middle + 1;
    else high = middle;
  }
  let best: number | null = null;
  for (let i = Math.max(0, low - REACH); i < Math.min(x.length, low + REACH); i++) {
    if (counts(i) && (best === null || Math.abs(x[i]! - time) < Math.abs(x[best]! - time))) best = i;
  }
  return best;
}

/**
 * The time `by` places after `time` in ascending `times`, as far as there are any, where `time` need not be one of them; the
 * last one where `time` is null, null where there is none.
 */
export function stepFrom(times: readonly number[], time: number | null, by: number): number | null {
  if (time === null) return times.at(-1) ?? null;
  const after = times.findIndex(t => t > time);
  const next = after === -1 ? times.length : after;
  const at = by > 0 ? next - 1 + by : next + by - Number(times[next - 1] === time);
  return times[Math.min(Math.max(at, 0), times.length - 1)] ?? null;
}

/** Whether the line goes on from `i` in a direction: past times that are not its own, up to a value. */
function joined(ys: Values, i: number, direction: 1 | -1): boolean {
  let k = i + direction;
  while (k >= 0 && k < ys.length && ys[k] === undefined) k += direction;
  return typeof ys[k] === 'number';
}
