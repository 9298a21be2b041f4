/**
 * Numbers and times as text. Everything here is pure, and the same in every locale: digits stand in columns,
 * and a screenshot from one machine compares with one from another.
 */

/** What a value measures, told by the end of its metric's name; Prometheus names carry their units. */
export type Unit = 'percent' | 'bytes' | 'bytesPerSecond' | 'seconds' | 'celsius' | 'number';

const SUFFIXES: readonly (readonly [string, Unit])[] = [
  ['_percent', 'percent'],
  ['_bytes_per_second', 'bytesPerSecond'],
  ['_bytes', 'bytes'],
  ['_seconds', 'seconds'],
  ['_celsius', 'celsius'],
];

/** The unit of the metric `name`. */
export function unitOf(name: string): Unit {
  return SUFFIXES.find(([suffix]) => name.endsWith(suffix))?.[1] ?? 'number';
}

/** Memory comes in powers of two, rates of disks and networks in powers of ten. */
const BINARY = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const;
const DECIMAL = ['B/s', 'kB/s', 'MB/s', 'GB/s', 'TB/s', 'PB/s'] as const;
const PLAIN = ['', 'k', 'M', 'G', 'T', 'P'] as const;

/** What is shown where there is no value. */
export const NOTHING = '–';

/** A value with its unit, three significant digits: "23.4 %", "1.21 GiB", "0.03". */
export function formatValue(value: number, unit: Unit): string {
  if (!Number.isFinite(value)) return NOTHING;
  switch (unit) {
    case 'percent':
      return `${fixed(value, Math.abs(value) < 99.95 ? 1 : 0)} %`;
    case 'bytes':
      return scaled(value, 1024, BINARY);
    case 'bytesPerSecond':
      return scaled(value, 1000, DECIMAL);
    case 'seconds':
      return `${significant(value)} s`;
    case 'celsius':
      return `${fixed(value, 1)} °C`;
    case 'number':
      return Math.abs(value) < 10_000 ? significant(value) : scaled(value, 1000, PLAIN);
  }
}

/** The same, without the zeros that a tick of an axis does not need: "25 %", "1.5 GiB". */
export function formatTick(value: number, unit: Unit): string {
  return formatValue(value, unit)
    .replace(/(\.\d*?)0+(?=\D|$)/, '$1')
    .replace(/\.(?=\D|$)/, '');
}

/** How old something is: "0.8 s", "12 s", "5 min", "3 h". Negative ages, of clocks ahead, are 0. */
export function formatAge(ms: number): string {
  const seconds = Math.max(0, ms) / 1000;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  if (seconds < 119.5) return `${Math.round(seconds)} s`;
  if (seconds < 7170) return `${Math.round(seconds / 60)} min`;
  return `${Math.round(seconds / 3600)} h`;
}

/** A time of day in the browser's zone, to the second, or to the millisecond where `fine`: "10:01:40". */
export function formatTime(ms: number, fine = false): string {
  const date = new Date(ms);
  const clock = [date.getHours(), date.getMinutes(), date.getSeconds()].map(n => pad(n, 2)).join(':');
  return fine ? `${clock}.${pad(date.getMilliseconds(), 3)}` : clock;
}

function scaled(value: number, base: number, units: readonly string[]): string {
  let scaledValue = value;
  let power = 0;
  // 999.5 would be printed as "1000": it belongs to the next unit already.
  while (Math.abs(scaledValue) >= base - 0.5 && power < units.length - 1) {
    scaledValue /= base;
    power++;
  }
  const digits = power === 0 && Number.isInteger(value) ? fixed(value, 0) : significant(scaledValue);
  return `${digits} ${units[power]!}`.trimEnd();
}

/** Three significant digits, but never fewer than the whole part and never more than two after the point. */
function significant(value: number): string {
  const size = Math.abs(value);
  return fixed(value, size < 9.995 ? 2 : size < 99.95 ? 1 : 0);
}

function fixed(value: number, digits: number): string {
  const text = value.toFixed(digits);
  return Number(text) === 0 ? text.replace('-', '') : text;
}

function pad(n: number, width: number): string {
  return String(n).padStart(width, '0');
}
