import type { Line } from './line.ts';

/** A line and what it is called. */
export interface Column {
  readonly name: string;
  readonly line: Line;
}

/**
 * What lines hold from `from` to `to`, both included, Unix ms, as CSV: a row for each time, a column for each line. Of lines
 * that were folded there are a least and a greatest value for each column of time.
 */
export function csvOf(lines: readonly Column[], from: number, to: number): string {
  const heads: string[] = [];
  const rows = new Map<number, string[]>();
  const put = (time: number, column: number, value: number): void => {
    if (time < from || time > to) return;
    const row = rows.get(time) ?? [];
    rows.set(time, row);
    row[column] = Number.isNaN(value) ? '' : `${value}`;
  };
  for (const { name, line } of lines) {
    const { samples, columns } = line;
    const column = heads.length;
    if (columns) {
      heads.push(`${name} (min)`, `${name} (max)`);
      columns.forEach(Math.floor(from / columns.step), Math.floor(to / columns.step), k => {
        put(k * columns.step, column, columns.value(k, 1));
        put(k * columns.step, column + 1, columns.value(k, 2));
      });
    } else {
      heads.push(name);
      for (let i = samples?.indexAt(from) ?? 0; samples && i < samples.length; i++)
        put(samples.time(i), column, samples.value(i));
    }
  }
  const body = [...rows]
    .sort(([a], [b]) => a - b)
    .map(([time, row]) => [new Date(time).toISOString(), ...heads.map((_, i) => row[i] ?? '')].join(','));
  return `${[['time', ...heads].map(quoted).join(','), ...body].join('\n')}\n`;
}

/** A field as RFC 4180 quotes it. One that a spreadsheet would take for a formula is text. */
function quoted(field: string): string {
  const text = /^[=+\-@\t]/.test(field) ? `'${field}` : field;
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
