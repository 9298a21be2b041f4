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

/** A time "2018-12-12 10:00:00" or "2018-12-12 10:00:00.050" as ms; NaN for anything else. */
function milliseconds(time: unknown): number {
  if (typeof time !== 'string' || !/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{3})?$/.test(time)) return Number.NaN;
  return Date.parse(`${time.replace(' ', 'T')}Z`);
}
