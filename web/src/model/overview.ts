import * as texts from '../texts.ts';
import { formatValue, type Unit } from './format.ts';
import { byKey, NAME } from './labels.ts';
import type { Line } from './line.ts';

/** What the overview tells of a host, each the sum over its devices. */
const READINGS: readonly {
  readonly id: string;
  readonly title: string;
  readonly names: readonly string[];
  readonly unit: Unit;
  /** The metric of all that there is; the reading is told as a part of it. */
  readonly of?: string;
  /** What the sparkline reaches to; without it, its highest value. */
  readonly top?: number;
}[] = [
  { id: 'cpu', title: texts.VITALS.cpu, names: ['cpu_usage_percent'], unit: 'percent', top: 100 },
  {
    id: 'memory',
    title: texts.VITALS.memory,
    names: ['memory_used_bytes'],
    unit: 'bytes',
    of: 'memory_total_bytes',
  },
  { id: 'load', title: texts.VITALS.load, names: ['load1'], unit: 'number' },
  {
    id: 'disk',
    title: texts.VITALS.disk,
    names: ['disk_read_bytes_per_second', 'disk_write_bytes_per_second'],
    unit: 'bytesPerSecond',
  },
  {
    id: 'network',
    title: texts.VITALS.network,
    names: ['network_receive_bytes_per_second', 'network_transmit_bytes_per_second'],
    unit: 'bytesPerSecond',
  },
];

const NAMES = READINGS.flatMap(({ names, of }) => (of ? [...names, of] : names)).join('|');

/** All that the overview tells, as one room: of CPUs the total, of everything else what there is. */
export const OVERVIEW = `{__name__=~"${NAMES}",cpu=~"|total",host!=""}`;

/** Points of a sparkline. */
const POINTS = 60;

/** A sparkline's paper, in units of its own. */
export const SPARK = { width: 100, height: 24 } as const;

/** One value of a host, and how it came about. */
export interface Reading {
  readonly id: string;
  readonly title: string;
  readonly value: string;
  /** What it is a part of: "of 23.5 GiB"; may be empty. */
  readonly of: string;
  /** The path of its sparkline on `SPARK`. */
  readonly path: string;
}

/** A host at a glance. */
export interface HostRow {
  readonly host: string;
  /** Since when it is silent, Unix ms; -Infinity for before the window, null while it is not silent. */
  readonly silentSince: number | null;
  readonly readings: readonly Reading[];
}

/**
 * A row for each host, in the order of their names: those that have lines, and `known` ones. `from` to `now` is what
 * sparklines show, Unix ms.
 */
export function overview(
  lines: readonly Line[],
  known: Iterable<string>,
  from: number,
  now: number,
): HostRow[] {
  const hosts = new Map<string, Line[]>([...known].map(host => [host, []]));
  for (const line of lines) {
    const host = line.labels.host!;
    const of = hosts.get(host);
    if (of) of.push(line);
    else hosts.set(host, [line]);
  }
  return [...hosts]
    .sort(([a], [b]) => byKey(a, b))
    .map(([host, own]) => {
      const newest = Math.max(...own.map(line => line.newestTime));
      // Of no line this is true, too.
      const silent = own.every(line => now - line.newestTime > line.patience);
      return {
        host,
        silentSince: silent ? newest : null,
        readings: READINGS.map(({ id, title, names, unit, of, top }) => {
          const metric = (name: string): Line[] => own.filter(({ labels }) => labels[NAME] === name);
          const parts = names.flatMap(metric);
          const whole = of === undefined ? Number.NaN : sum(metric(of));
          return {
            id,
            title,
            value: formatValue(sum(parts), unit),
            of: Number.isNaN(whole) ? '' : `of ${formatValue(whole, unit)}`,
            path: sparkline(parts, from, now, top ?? whole),
          };
        }),
      };
    });
}

/** The newest values together; NaN for none. */
function sum(lines: readonly Line[]): number {
  let total = Number.NaN;
  for (const { newestValue } of lines) {
    if (Number.isFinite(newestValue)) total = (Number.isNaN(total) ? 0 : total) + newestValue;
  }
  return total;
}

/** The sum of lines from `from` to `to` as a path, from zero to `top`, or to its highest value where that is NaN. */
export function sparkline(lines: readonly Line[], from: number, to: number, top: number): string {
  const step = (to - from) / POINTS;
  const totals = new Float64Array(POINTS).fill(Number.NaN);
  for (const line of lines) {
    meansOf(line, from, step).forEach((mean, i) => {
      if (Number.isFinite(mean)) totals[i] = (Number.isNaN(totals[i]) ? 0 : totals[i]!) + mean;
    });
  }
  const highest = totals.reduce((most, value) => (value > most ? value : most), 0);
  const full = Number.isNaN(top) ? highest : top;
  const longest = Math.max(...lines.map(line => line.patience)) / step + 1;
  let path = '';
  let last = Number.NEGATIVE_INFINITY;
  totals.forEach((total, i) => {
    if (Number.isNaN(total)) return;
    const x = ((i + 1) / POINTS) * SPARK.width;
    const part = full > 0 ? Math.min(Math.max(total / full, 0), 1) : 0;
    // Half a line above and below, or it would be cut.
    const y = 1 + (1 - part) * (SPARK.height - 2);
    path += `${i - last > longest ? 'M' : 'L'}${x.toFixed(1)} ${y.toFixed(1)}`;
    last = i;
  });
  return path;
}

/** Means of a line's values over parts of `step` ms from `from` on; NaN where there is none. */
function meansOf(line: Line, from: number, step: number): Float64Array {
  const sums = new Float64Array(POINTS);
  const counts = new Float64Array(POINTS);
  const add = (time: number, value: number): void => {
    const i = Math.floor((time - from) / step);
    if (i < 0 || i >= POINTS || !Number.isFinite(value)) return;
    sums[i]! += value;
    counts[i]!++;
  };
  const { samples, columns } = line;
  for (let i = samples?.indexAt(from) ?? 0; samples && i < samples.length; i++)
    add(samples.time(i), samples.value(i));
  columns?.forEach(Math.floor(from / columns.step), Number.POSITIVE_INFINITY, k => {
    add((k + 0.5) * columns.step, (columns.value(k, 1) + columns.value(k, 2)) / 2);
  });
  return sums.map((sum, i) => sum / counts[i]!);
}
