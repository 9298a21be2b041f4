import type { Unit } from './format.ts';

/**
 * The range of a chart's value axis for values between `low` and `high`, both NaN when there are none. The ends
 * are round numbers, so the scale moves in steps and seldom: a line must not change its height at every sample.
 */
export function valueRange(low: number, high: number, unit: Unit): [number, number] {
  if (!(low <= high)) return unit === 'percent' ? [0, 100] : [0, 1];
  if (unit === 'percent' && low >= 0 && high <= 100) {
    return [0, PERCENT_TOPS.find(top => high <= top)!];
  }
  const base = unit === 'bytes' ? 2 : 10;
  // Values far from zero, a temperature or a pressure, would be a flat line on a scale that starts there.
  const fromZero = low >= 0 && (low < NEAR_ZERO * high || (unit !== 'number' && unit !== 'celsius'));
  if (fromZero) return [0, roundUp(HEADROOM * high, base)];
  const grain = roundStep((high - low || Math.abs(high) || 1) / 4);
  const bottom = Math.floor(low / grain) * grain;
  const top = Math.ceil(high / grain) * grain;
  return [bottom, top > bottom ? top : bottom + grain];
}

/** Values of which the lowest is below this part of the highest are drawn over zero. */
const NEAR_ZERO = 0.75;

/** Paper above the highest value: a line on the very edge would be cut. */
const HEADROOM = 1.04;

const PERCENT_TOPS: readonly number[] = [5, 10, 25, 50, 75, 100];

/** The next round number at or above `value`: 1, 1.5, 2, 3, 5, 7.5 times a power of ten; the like of two for bytes. */
function roundUp(value: number, base: 2 | 10): number {
  if (value <= 0) return 1;
  const power = base ** Math.floor(Math.log(value) / Math.log(base));
  const steps = base === 2 ? [1, 1.5, 2, 3] : [1, 1.5, 2, 3, 5, 7.5, 10, 15];
  return (steps.find(step => step * power >= value) ?? base) * power;
}

/** The next of 1, 2 and 5 times a power of ten at or above `value`, which is above 0. */
function roundStep(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  return ([1, 2, 5, 10].find(step => step * power >= value) ?? 10) * power;
}

/** Distances of an axis' ticks that are round in their unit; null where any power of ten will do. */
export function tickSteps(unit: Unit): number[] | null {
  if (unit === 'percent') return [0.1, 0.2, 0.5, 1, 2, 5, 10, 25, 50, 100];
  if (unit !== 'bytes') return null;
  return Array.from({ length: 60 }, (_, power) => 2 ** power);
}
