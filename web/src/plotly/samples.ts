/** The argument of `bootstrap` and `update` on namespace `/`: times as the server's zone writes them, and values. */
export interface Samples {
  readonly x: readonly string[];
  readonly y: readonly (number | null)[];
}

/** Whether a message is what the contract says; anything else is not drawn. */
export function isSamples(message: unknown): message is Samples {
  const { x, y } = (message ?? {}) as Partial<Samples>;
  return (
    Array.isArray(x) &&
    Array.isArray(y) &&
    x.length === y.length &&
    x.every(time => !Number.isNaN(milliseconds(time))) &&
    y.every(value => value === null || typeof value === 'number')
  );
}

/**
 * The window that ends at `newest`, `seconds` long, as Plotly wants the ends of a date axis. Both times are in the
 * server's zone, which nobody need know: Plotly too takes times without a zone as they stand.
 */
export function windowEndingAt(newest: string, seconds: number): [number, number] {
  const end = milliseconds(newest);
  return [end - 1000 * seconds, end];
}

/** Clocks that are put back go back by this much at least, ms; a history that overlaps goes back by less. */
const PUT_BACK = 1_800_000;

/** As many of `more` behind `kept` as there is room for. Where clocks were put back, what was before moves back too: no hour is there twice. */
export function joined(kept: Samples, more: Samples, most: number): Samples {
  const [last, next] = [milliseconds(kept.x.at(-1)), milliseconds(more.x[0])];
  const hours = last - next >= PUT_BACK ? Math.ceil((last - next) / 3_600_000) : 0;
  const before = hours === 0 ? kept.x : kept.x.map(time => written(milliseconds(time) - 3_600_000 * hours));
  return { x: [...before, ...more.x].slice(-most), y: [...kept.y, ...more.y].slice(-most) };
}

/** A line is broken where two samples are this many of their usual distances apart, and three seconds. */
const BREAK = 3;
const LEAST = 3_000;

/** The same with a null where nothing was measured, or where a gap was declared. */
export function withBreaks({ x, y }: Samples, gaps: readonly { from: string; to: string }[] = []): Samples {
  const times = x.map(milliseconds);
  const distances = times.slice(1).map((time, i) => time - times[i]!);
  const usual = [...distances].sort((a, b) => a - b)[Math.floor(distances.length / 2)] ?? 0;
  const apart = Math.max(BREAK * usual, LEAST);
  const missing = gaps.map(({ from, to }) => [milliseconds(from), milliseconds(to)] as const);
  const out = { x: [] as string[], y: [] as (number | null)[] };
  x.forEach((time, i) => {
    const [last, now] = [times[i - 1]!, times[i]!];
    if (i > 0 && (now - last > apart || missing.some(([from, to]) => from + 1 < now && to - 1 > last))) {
      out.x.push(written(last + (now - last) / 2));
      out.y.push(null);
    }
    out.x.push(time);
    out.y.push(y[i]!);
  });
  return out;
}

/** A time "2018-12-12 10:00:00" or "2018-12-12 10:00:00.050" as ms; NaN for anything else. */
function milliseconds(time: unknown): number {
  if (typeof time !== 'string' || !/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{3})?$/.test(time)) return Number.NaN;
  return Date.parse(`${time.replace(' ', 'T')}Z`);
}

/** The same the other way. */
function written(time: number): string {
  return new Date(time).toISOString().slice(0, 23).replace('T', ' ').replace('.000', '');
}
