import type { Unit } from './format.ts';

/**
 * The range of a chart's value axis for values between `low` and `high`, both NaN when there are none. The ends
 * are round numbers, so the scale moves in steps and seldom: a line must not change its height at every sample.
 */
export function valueRange(low: number, high: number, unit: Unit): [number, number] {
  if (!(low <= high)) return unit === 'percent' ? [0, 100] : [0, 1];
  const [bottom, top] = roundRange(low, high, unit);
  return [Math.max(bottom, -Number.MAX_VALUE), Math.min(top, Number.MAX_VALUE)];
}

/** The range and the ticks of a chart of states. */
export const STATES: readonly [number, number] = [0, 1];

function roundRange(low: number, high: number, unit: Unit): [number, number] {
  if (unit === 'percent' && low >= 0 && high <= 100) {
    // Nothing going on is drawn on the floor, but what is small all the time has a scale of its own.
    return [0, high === 0 ? 5 : PERCENT_TOPS.find(top => high <= top)!];
  }
  // Values far from zero, a temperature or a pressure, would be a flat line on a scale that starts there.
  const fromZero = low >= 0 && (low < NEAR_ZERO * high || AMOUNTS.has(unit));
  if (fromZero) return [0, amountRange(high, unit) || 1];
  // Halves, since the distance of two numbers may be no number any more.
  const size = Math.max(Math.abs(low), Math.abs(high));
  const span = high / 2 - low / 2 || size / 2 || 0.5;
  const grain = roundStep(Math.max(span / 2, size * RESOLUTION));
  const bottom = Math.floor(low / grain) * grain;
  const top = Math.ceil(high / grain) * grain;
  return [bottom, top > bottom ? top : bottom + grain];
}

/** Where an axis of amounts from zero to `high` ends, with room above. */
export function amountRange(high: number, unit: Unit): number {
  return high === 0 ? 0 : roundUp(Math.min(HEADROOM * high, Number.MAX_VALUE), unit === 'bytes' ? 2 : 10);
}

/** Least part of a value that an axis tells apart: a few thousand times what a float64 does. */
const RESOLUTION = 2 ** -40;

/** What is told by how much of it there is: a chart of it begins at nothing. */
const AMOUNTS: ReadonlySet<Unit> = new Set(['percent', 'bytes', 'bits', 'bytesPerSecond', 'bitsPerSecond']);

/** Values of which the lowest is below this part of the highest are drawn over zero. */
const NEAR_ZERO = 0.75;

/** Paper above the highest value: a line on the very edge would be cut. */
const HEADROOM = 1.04;

const PERCENT_TOPS: readonly number[] = [0.1, 0.2, 0.5, 1, 2, 5, 10, 25, 50, 75, 100];

/** The next round number at or above `value`: 1, 1.5, 2, 3, 5, 7.5 times a power of ten; the like of two for bytes. */
function roundUp(value: number, base: 2 | 10): number {
  if (value <= 0) return 1;
  if (value < SMALLEST) return SMALLEST;
  const power = base ** Math.floor(Math.log(value) / Math.log(base));
  const steps = base === 2 ? [1, 1.5, 2, 3] : [1, 1.5, 2, 3, 5, 7.5, 10, 15];
  return (steps.find(step => step * power >= value) ?? base) * power;
}

/** The next of 1, 2 and 5 times a power of ten at or above `value`, which is above 0. */
function roundStep(value: number): number {
  if (value < SMALLEST) return SMALLEST;
  const power = 10 ** Math.floor(Math.log10(value));
  return Math.min(([1, 2, 5, 10].find(step => step * power >= value) ?? 10) * power, LARGEST);
}

/** Steps below this are not round any more: floats become coarse. */
const SMALLEST = 1e-300;

/** A step above this would be no number. */
const LARGEST = 1e308;

/** Most ticks that an axis has, however much room there is: the bound of every loop over them. */
const MOST_TICKS = 20;

/** Steps between ticks that are round in their unit; any power of ten will do for the others. */
const PERCENT_STEPS: readonly number[] = [0.1, 0.2, 0.5, 1, 2, 5, 10, 25, 50, 100];

/** Steps between ticks that are a minute and longer, seconds; beyond, days. */
const TIME_STEPS: readonly number[] = [
  60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400,
];

/**
 * The ticks of an axis from `bottom` to `top`, at most `most` of them: multiples of a step that is round in the unit.
 * There may be fewer than two where the floats between the ends are used up.
 */
export function valueTicks(bottom: number, top: number, unit: Unit, most: number): number[] {
  const room = Math.max(1, Math.min(most, MOST_TICKS));
  // Halves, as in roundRange. A third of the span leaves room for finer steps that happen to fit.
  let step = nextStep((top / 2 - bottom / 2) / (1.5 * room), unit);
  // A step may not grow any more at the end of the floats, so the tries are counted.
  for (let tries = 0; tries < 8 && Math.floor(top / step) - Math.ceil(bottom / step) >= room; tries++) {
    step = nextStep(1.5 * step, unit);
  }
  // A wider step that both ends are multiples of is better: an end without a number leaves one to guess.
  step =
    WIDER.map(times => times * step).find(wide => isRound(wide, unit) && ends(bottom, top, wide)) ?? step;
  const ticks: number[] = [];
  const first = Math.ceil(bottom / step);
  for (let k = first; k < first + room; k++) {
    // A product has one rounding; a sum of steps would collect them.
    const tick = k * step;
    const last = ticks.length > 0 ? ticks[ticks.length - 1]! : Number.NEGATIVE_INFINITY;
    if (tick >= bottom && tick <= top && tick > last) ticks.push(tick === 0 ? 0 : tick);
  }
  return ticks;
}

/** How much wider than need be a step may become to end at both ends. */
const WIDER: readonly number[] = [1, 1.25, 2, 2.5];

/** Parts of a power of ten that steps may be. */
const ROUND: readonly number[] = [1, 2, 2.5, 5, 10];

/** Whether a step is a round number of its unit. Bytes and times that are no seconds count by other numbers than ten. */
function isRound(step: number, unit: Unit): boolean {
  if (unit === 'bytes' || (unit === 'seconds' && step > 30)) return false;
  const part = step / 10 ** Math.floor(Math.log10(step));
  return ROUND.some(round => Math.abs(part - round) < 1e-9);
}

function ends(bottom: number, top: number, step: number): boolean {
  return [bottom, top].every(end => Math.abs(end / step - Math.round(end / step)) < 1e-9);
}

/** The next round step at or above `least`. */
function nextStep(least: number, unit: Unit): number {
  if (unit === 'bytes') return 2 ** Math.max(0, Math.ceil(Math.log2(least)));
  if (unit === 'seconds' && least > 30) {
    const day = 86_400;
    return TIME_STEPS.find(step => step >= least) ?? day * roundStep(least / day);
  }
  const percent = unit === 'percent' && least > 0.05 ? PERCENT_STEPS.find(step => step >= least) : undefined;
  return percent ?? roundStep(least);
}

/**
 * Where `value` lies between `bottom`, 0, and `top`, 1. Every finite value has a place, beyond the ends where it must:
 * a canvas has no other numbers.
 */
export function place(value: number, bottom: number, top: number): number {
  const span = top - bottom;
  const at = Number.isFinite(span)
    ? (value - bottom) / span
    : (value / 2 - bottom / 2) / (top / 2 - bottom / 2);
  return Math.min(Math.max(at, -1), 2);
}
