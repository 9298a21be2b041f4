import type { Line } from '../model/line.ts';
import type { Room } from '../model/room.ts';

/** The samples of a line that was not folded. */
export function samplesOf(line: Line): [number, number][] {
  const { samples } = line;
  if (!samples) throw new Error('the line was folded');
  return Array.from({ length: samples.length }, (_, i) => [samples.time(i), samples.value(i)]);
}

/** The non-empty columns of a line that was folded: their number, first, lowest, highest and last value. */
export function columnsOf(line: Line): number[][] {
  const { columns } = line;
  if (!columns) throw new Error('the line was not folded');
  const out: number[][] = [];
  columns.forEach(Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY, k => {
    out.push([k, columns.value(k, 0), columns.value(k, 1), columns.value(k, 2), columns.value(k, 3)]);
  });
  return out;
}

/** The samples of all lines of a room by the value of one of their labels. */
export function samplesBy(room: Room, label: string): Record<string, [number, number][]> {
  return Object.fromEntries(room.lines.map(line => [line.labels[label] ?? '', samplesOf(line)]));
}
