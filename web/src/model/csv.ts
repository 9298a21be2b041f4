import * as texts from '../texts.ts';
import type { Unit } from './format.ts';
import type { Line } from './line.ts';

/** A line and what it is called. */
export interface Column {
  readonly name: string;
  readonly line: Line;
  readonly unit: Unit;
}

/** Rows of values by time, ascending; a row has `undefined` where a column has no sample. */
export interface Table {
  readonly heads: readonly string[];
  readonly rows: readonly (readonly [time: number, values: readonly (number | undefined)[]])[];
}

/**
 * What lines hold from `from` to `to`, both included, Unix ms: a row for each time, a column for each line. Of lines that
 * were folded there are a least and a greatest value for each column of time.
 */
export function tableOf(lines: readonly Column[], from: number, to: number): Table {
  const heads: string[] = [];
  const rows = new Map<number, number[]>();
  const put = (time: number, column: number, value: number): void => {
    if (time < from || time > to) return;
    const row = rows.get(time) ?? [];
    rows.set(time, row);
    row[column] = value;
  };
  for (const { name, line } of lines) {
    const { samples, columns } = line;
    const column = heads.length;
    if (columns) {
      heads.push(`${name} (${texts.MIN})`, `${name} (${texts.MAX})`);
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
  return { heads, rows: [...rows].sort(([a], [b]) => a - b) };
}

/** The same as CSV. */
export function csvOf(lines: readonly Column[], from: number, to: number): string {
  const { heads, rows } = tableOf(lines, from, to);
  const cell = (value: number | undefined): string =>
    value === undefined || Number.isNaN(value) ? '' : `${value}`;
  const body = rows.map(([time, row]) =>
    [new Date(time).toISOString(), ...heads.map((_, i) => cell(row[i]))].join(','),
  );
  return `${[['time', ...heads].map(quoted).join(','), ...body].join('\n')}\n`;
}

/** A field as RFC 4180 quotes it. One that a spreadsheet would take for a formula is text. */
function quoted(field: string): string {
  const text = /^[=+\-@\t]/.test(field) ? `'${field}` : field;
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
