/**
 * Numbers and times as text. Everything here is pure, and the same in every locale: digits stand in columns,
 * and a screenshot from one machine compares with one from another.
 */

/** What a value measures, told by the end of its metric's name; Prometheus names carry their units. */
export type Unit = keyof typeof UNITS;

/** Steps of a unit's size, ascending: `factor` of the unit is one `symbol`. */
type Sizes = readonly (readonly [factor: number, symbol: string])[];

/** Sizes of a unit by powers of ten, from `smallest` to `largest` thousands: nano to peta are -3 to 5. */
function decimal(symbol: string, smallest: number, largest: number): Sizes {
  const prefixes = ['n', 'µ', 'm', '', 'k', 'M', 'G', 'T', 'P'];
  return prefixes
    .map((prefix, i) => [1000 ** (i - 3), `${prefix}${symbol}`] as const)
    .slice(smallest + 3, largest + 4);
}

/** Memory comes in powers of two, rates of disks and networks in powers of ten. */
const BINARY: Sizes = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'].map(
  (symbol, i) => [1024 ** i, symbol] as const,
);

const TIME: Sizes = [
  [1e-9, 'ns'],
  [1e-6, 'µs'],
  [1e-3, 'ms'],
  [1, 's'],
  [60, 'min'],
  [3600, 'h'],
  [86_400, 'd'],
];

/** The sizes in which each unit is told. One size: it has no prefixes. */
const UNITS = {
  percent: [[1, '%']],
  bytes: BINARY,
  bits: decimal('b', 0, 5),
  bytesPerSecond: decimal('B/s', 0, 5),
  bitsPerSecond: decimal('b/s', 0, 5),
  seconds: TIME,
  // Told as seconds are.
  milliseconds: [[1, 'ms']],
  celsius: [[1, '°C']],
  hertz: decimal('Hz', -1, 5),
  watts: decimal('W', -3, 5),
  joules: decimal('J', -3, 5),
  volts: decimal('V', -3, 3),
  amperes: decimal('A', -3, 3),
  pascals: decimal('Pa', -1, 3),
  meters: decimal('m', -3, 1),
  rpm: [[1, 'rpm']],
  number: decimal('', 0, 5),
} satisfies Record<string, Sizes>;

const SUFFIXES: readonly (readonly [string, Unit])[] = [
  ['_percent', 'percent'],
  ['_bytes_per_second', 'bytesPerSecond'],
  ['_bits_per_second', 'bitsPerSecond'],
  ['_bytes', 'bytes'],
  ['_bytes_total', 'bytes'],
  ['_bits', 'bits'],
  ['_seconds', 'seconds'],
  ['_seconds_total', 'seconds'],
  ['_ms', 'milliseconds'],
  ['_milliseconds', 'milliseconds'],
  ['_celsius', 'celsius'],
  ['_hertz', 'hertz'],
  ['_watts', 'watts'],
  ['_joules', 'joules'],
  ['_joules_total', 'joules'],
  ['_volts', 'volts'],
  ['_amperes', 'amperes'],
  ['_pascal', 'pascals'],
  ['_pascals', 'pascals'],
  ['_pa', 'pascals'],
  ['_meters', 'meters'],
  ['_rpm', 'rpm'],
];

/** The unit of the metric `name`. */
export function unitOf(name: string): Unit {
  return SUFFIXES.find(([suffix]) => name.endsWith(suffix))?.[1] ?? 'number';
}

/** The end of a metric's name that tells its unit; empty where none does. */
export function suffixOf(name: string): string {
  return SUFFIXES.find(([suffix]) => name.endsWith(suffix))?.[0] ?? '';
}

/** Whether a link's word is a unit. */
export function isUnit(word: string | null): word is Unit {
  return word !== null && Object.hasOwn(UNITS, word);
}

/** What is shown where there is no value. */
export const NOTHING = '–';

/** Numbers of this size and more, and below the other, are told by their power of ten where no prefix is left. */
const HUGE = 1e6;
const TINY = 1e-3;

/** A value with its unit, three significant digits: "23.4 %", "1.21 GiB", "0.0284", "9", "3.00e−4". */
export function formatValue(value: number, unit: Unit): string {
  if (!Number.isFinite(value)) return NOTHING;
  if (unit === 'milliseconds' && value !== 0) return formatValue(value / 1000, 'seconds');
  // These two move all the time, and keep their digits while they do.
  if (unit === 'celsius' && Math.abs(value) < HUGE) return `${fixed(value, 1)} °C`;
  if (unit === 'percent' && (value === 0 || Math.abs(value) >= 0.095) && Math.abs(value) < HUGE) {
    return `${fixed(value, Math.abs(value) < 99.95 ? 1 : 0)} %`;
  }
  // A count is whole, and a state; only large ones are shortened.
  if (unit === 'number' && Number.isInteger(value) && Math.abs(value) < 10_000) return fixed(value, 0);
  const [factor, symbol] = sizeOf(value, unit);
  const scaled = value / factor;
  const whole = factor === 1 && Number.isInteger(value) && unit !== 'percent';
  const size = Math.abs(scaled);
  if (size !== 0 && (size >= HUGE || size < TINY)) return withUnit(power(value, 2), plainOf(unit)[1]);
  return withUnit(whole && size < 10_000 ? fixed(scaled, 0) : significant(scaled), symbol);
}

/** The unit itself, without a prefix. */
function plainOf(unit: Unit): readonly [number, string] {
  return (UNITS[unit] as Sizes).find(([factor]) => factor === 1)!;
}

/** The size in which a value is told: the largest of which it has at least one; plain numbers from 10,000 on. */
function sizeOf(value: number, unit: Unit): readonly [number, string] {
  const sizes: Sizes = UNITS[unit];
  const size = Math.abs(value);
  const plain = plainOf(unit);
  if (size === 0 || (unit === 'number' && size < 9_999.5)) return plain;
  if (unit === 'seconds' && size >= 1 && size < 119.5) return plain;
  let chosen = sizes[0]!;
  for (const [i, candidate] of sizes.entries()) {
    // 999.5 would be printed as "1000": it belongs to the next size already.
    const previous = sizes[i - 1];
    const limit = previous && unit !== 'seconds' ? candidate[0] - previous[0] / 2 : candidate[0];
    if (size >= limit) chosen = candidate;
  }
  return chosen;
}

/** Most characters of a tick: charts below each other share the width of the axis, so that their times align. */
const TICK_WIDTH = 9;

/**
 * The labels of an axis' ticks, ascending: as many digits as tell one from the next, all in one size. Where values are
 * large and the ticks close to each other, the lowest is told as a value and the others by what they have more.
 */
export function formatTicks(ticks: readonly number[], unit: Unit): string[] {
  if (ticks.length === 0) return [];
  if (unit === 'milliseconds')
    return formatTicks(
      ticks.map(tick => tick / 1000),
      'seconds',
    );
  const [first, last] = [ticks[0]!, ticks[ticks.length - 1]!];
  const largest = Math.max(Math.abs(first), Math.abs(last));
  const step = ticks.length > 1 ? ticks[1]! - first : largest;
  for (const [factor, symbol] of unit === 'seconds'
    ? wholeSizes(step, largest)
    : [sizeOf(largest, unit), plainOf(unit)]) {
    if (largest / factor >= HUGE) continue;
    const digits = digitsOf(step / factor);
    if (digits === null) continue;
    const labels = ticks.map(tick => withUnit(fixed(tick / factor, digits), symbol));
    if (labels.every(label => label.length <= TICK_WIDTH)) return labels;
  }
  const symbol = plainOf(unit)[1];
  for (let digits = 0; digits <= 3; digits++) {
    const labels = ticks.map(tick => (tick === 0 ? '0' : withUnit(power(tick, digits), symbol)));
    const exact = ticks.every((tick, i) => tick === 0 || Math.abs(readPower(labels[i]!) - tick) < step / 20);
    if (exact && labels.every(label => label.length <= TICK_WIDTH)) return labels;
  }
  if (ticks.length < 2 || first === 0) return ticks.map(tick => withUnit(power(tick, 2), symbol));
  const more = formatTicks(
    ticks.map(tick => tick - first),
    unit,
  );
  const base = formatValue(first, unit);
  const told = base === formatValue(0, unit) ? withUnit(power(first, 2), symbol) : base;
  return [told, ...more.slice(1).map(label => `+${label}`)];
}

/** The sizes of time in which ticks `step` apart are whole numbers or nearly so, the best first. */
function wholeSizes(step: number, largest: number): Sizes {
  const whole = TIME.filter(([factor]) => factor >= 60 && step % factor === 0);
  return [...whole.reverse(), sizeOf(Math.min(largest, 100), 'seconds'), [1, 's']];
}

/** Digits behind the point that a multiple of `step` needs; null where it is more than fit on an axis. */
function digitsOf(step: number): number | null {
  for (let digits = 0; digits < TICK_WIDTH; digits++) {
    const scaled = step * 10 ** digits;
    if (scaled >= 0.999 && Math.abs(scaled - Math.round(scaled)) < 1e-6 * scaled) return digits;
  }
  return null;
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

/** Three significant digits, but never fewer than the whole part. */
function significant(value: number): string {
  const size = Math.abs(value);
  if (size === 0) return '0';
  // 9.995 is printed as "10.0" and not as "9.99" or "10.00".
  const magnitude = Math.floor(Math.log10(size * 1.0005));
  return fixed(value, Math.max(0, 2 - magnitude));
}

/** A number with a minus sign, which is as wide as a digit; a hyphen is not. */
function fixed(value: number, digits: number): string {
  const text = value.toFixed(digits);
  return Number(text) === 0 ? text.replace('-', '') : text.replace('-', '−');
}

/** A number by its power of ten: "1.5e21", "3e−4". */
function power(value: number, digits: number): string {
  return value.toExponential(digits).replace('e+', 'e').replaceAll('-', '−');
}

function readPower(label: string): number {
  return Number.parseFloat(label.replaceAll('−', '-'));
}

function withUnit(text: string, symbol: string): string {
  return symbol === '' ? text : `${text} ${symbol}`;
}

function pad(n: number, width: number): string {
  return String(n).padStart(width, '0');
}
