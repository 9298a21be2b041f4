import type { Form } from './form.ts';
import { formatTicks, type Unit } from './format.ts';
import { type Limits, withLimits } from './limits.ts';
import { amountRange, place, STATES, valueRange, valueTicks } from './scale.ts';

/** The value axis of a chart. */
export interface Axis {
  readonly bottom: number;
  readonly top: number;
  /** Where a value lies on the paper: 0 is `bottom`, 1 is `top`. */
  place(value: number): number;
  /** At most `most` ticks, ascending. */
  ticks(most: number): readonly number[];
  labels(ticks: readonly number[]): string[];
}

/** What an axis has to show. */
export interface Span {
  /** The least and the greatest value as they are placed, both NaN where there is none. */
  readonly low: number;
  readonly high: number;
  /** The least value above zero, NaN where there is none. */
  readonly least: number;
  /** Whether all values are states, 0 or 1. */
  readonly states: boolean;
  /** The whole of what is stacked, NaN where there is none: the paper ends there. */
  readonly whole: number;
}

export function axisOf(
  form: Form,
  { low, high, least, states, whole }: Span,
  unit: Unit,
  limits: Limits,
): Axis {
  if (form === 'log' && least <= high) return logAxis(least, high, unit);
  if (form === 'mirror' && low <= high) return mirrorAxis(low, high, unit);
  if (states) return { ...linear(...STATES, unit), ticks: () => STATES };
  if (form === 'stack') return linear(0, whole >= high ? whole : stackTop(low, high, unit), unit);
  return linear(...valueRange(...withLimits(low, high, limits), unit), unit);
}

/** Parts of a hundred come to a little more than that by their rounding. */
const ROUNDING = 1.01;

function stackTop(low: number, high: number, unit: Unit): number {
  const full = unit === 'percent' && high > 100 && high < 100 * ROUNDING;
  return valueRange(Math.min(low, 0), full ? 100 : high, unit)[1];
}

function linear(bottom: number, top: number, unit: Unit): Axis {
  return {
    bottom,
    top,
    place: value => place(value, bottom, top),
    ticks: most => valueTicks(bottom, top, unit, most),
    labels: ticks => formatTicks(ticks, unit),
  };
}

/** What is below zero is told as what it is: an amount that goes the other way. */
function mirrorAxis(low: number, high: number, unit: Unit): Axis {
  const up = amountRange(Math.max(high, 0), unit);
  const down = amountRange(Math.max(-low, 0), unit);
  // A side that is nearly nothing still has room for its line.
  const axis = linear(-Math.max(down, up / 10), Math.max(up, down / 10), unit);
  return { ...axis, labels: ticks => axis.labels(ticks).map(label => label.replace(/^−/, '')) };
}

/** Powers of ten, and between them what there is room for. */
function logAxis(least: number, high: number, unit: Unit): Axis {
  const from = Math.floor(Math.log10(least));
  const to = Math.max(from + 1, Math.ceil(Math.log10(high)));
  return {
    bottom: 10 ** from,
    top: 10 ** to,
    // Zero and what is below it have no logarithm: they lie under the paper.
    place: value => (value > 0 ? Math.max((Math.log10(value) - from) / (to - from), -1) : -1),
    ticks: most => {
      const step = Math.ceil((to - from) / Math.max(1, most - 1));
      const between = step === 1 && 3 * (to - from) < most ? [1, 2, 5] : [1];
      const ticks: number[] = [];
      for (let power = from; power <= to; power += step)
        for (const part of between) if (power < to || part === 1) ticks.push(part * 10 ** power);
      return ticks;
    },
    labels: ticks => ticks.flatMap(tick => formatTicks([tick], unit)),
  };
}
