import { describe, expect, test } from 'vitest';
import { randomFrom } from '../testing/random.ts';
import type { Unit } from './format.ts';
import { place, valueRange, valueTicks } from './scale.ts';

test.each<[number, number, Unit, [number, number]]>([
  [1, 3, 'percent', [0, 5]],
  [2, 24, 'percent', [0, 25]],
  [0, 100, 'percent', [0, 100]],
  [0, 100.01, 'percent', [0, 150]],
  [0.2, 2.1, 'number', [0, 3]],
  [0, 0, 'bytesPerSecond', [0, 1]],
  [2 ** 30, 16 * 2 ** 30, 'bytes', [0, 24 * 2 ** 30]],
  [8e5, 9e5, 'bytesPerSecond', [0, 1e6]],
  [20, 21.5, 'celsius', [20, 21.5]],
  [-3, 4, 'number', [-4, 4]],
  [5, 5, 'number', [4, 6]],
])('values from %d to %d %s', (low, high, unit, range) => {
  expect(valueRange(low, high, unit)).toEqual(range);
});

test('without values there is a scale all the same', () => {
  expect(valueRange(Number.NaN, Number.NaN, 'percent')).toEqual([0, 100]);
  expect(valueRange(Number.NaN, Number.NaN, 'number')).toEqual([0, 1]);
});

describe('every value lies on the paper', () => {
  const units: Unit[] = ['percent', 'bytes', 'bytesPerSecond', 'seconds', 'celsius', 'number'];
  test.each(units)('%s', unit => {
    const random = randomFrom(7);
    for (let i = 0; i < 20_000; i++) {
      const size = 10 ** (random() * 24 - 9);
      const [low, high] = [(random() - 0.3) * size, (random() - 0.3) * size].sort((a, b) => a - b) as [
        number,
        number,
      ];
      const [bottom, top] = valueRange(low, high, unit);
      if (!(bottom <= low && high <= top && bottom < top)) {
        throw new Error(`${low} to ${high} do not fit on ${bottom} to ${top}`);
      }
    }
  });
});

test.each<[number, number, Unit, number[]]>([
  [0, 15, 'number', [0, 2.5, 5, 7.5, 10, 12.5, 15]],
  [0, 75, 'percent', [0, 25, 50, 75]],
  [0, 150e6, 'bytesPerSecond', [0, 25e6, 50e6, 75e6, 100e6, 125e6, 150e6]],
  [20, 21.5, 'celsius', [20, 20.25, 20.5, 20.75, 21, 21.25, 21.5]],
])('an axis from %d to %d %s ends on a tick', (bottom, top, unit, ticks) => {
  expect(valueTicks(bottom, top, unit, 9)).toEqual(ticks);
});

const UNITS: Unit[] = ['percent', 'bytes', 'bytesPerSecond', 'seconds', 'celsius', 'number'];

/** Pairs that floats hardly tell apart, that lie at their ends, and ordinary ones. */
const HARD: readonly (readonly [number, number])[] = [
  [1e16, 1e16 + 2],
  [2 ** 52, 2 ** 52 + 1],
  [2 ** 60 + 2 ** 52, 2 ** 60 + 2 ** 52 + 256],
  [1.7899999999999996e308, 1.79e308],
  [-1e308, 1e308],
  [-Number.MAX_VALUE, Number.MAX_VALUE],
  [Number.MAX_VALUE, Number.MAX_VALUE],
  [5e-324, 5e-324],
  [0, 5e-324],
  [-5e-324, 1e-320],
  [1e-11, 1.1e-11],
  [-1e16 - 2, -1e16],
  [9.2e18, 9.2e18],
  [1e21, 1e21],
  [-3, 4],
];

describe.each(UNITS)('an axis in %s', unit => {
  test.each(HARD)('from %d to %d has an end', (low, high) => {
    const [bottom, top] = valueRange(low, high, unit);
    expect(bottom).toBeLessThan(top);
    expect(Number.isFinite(bottom) && Number.isFinite(top)).toBe(true);
    for (const most of [0, 1, 2, 5, 1_000, Number.POSITIVE_INFINITY]) {
      const ticks = valueTicks(bottom, top, unit, most);
      expect(ticks.length).toBeLessThanOrEqual(21);
      ticks.forEach((tick, i) => {
        expect(tick).toBeGreaterThanOrEqual(bottom);
        expect(tick).toBeLessThanOrEqual(top);
        if (i > 0) expect(tick).toBeGreaterThan(ticks[i - 1]!);
      });
    }
    for (const value of [low, high]) {
      const at = place(value, bottom, top);
      expect(at).toBeGreaterThanOrEqual(0);
      expect(at).toBeLessThanOrEqual(1);
    }
  });

  test('has two ticks at least wherever there is room for them, and never more than there is room for', () => {
    const random = randomFrom(11);
    for (let i = 0; i < 20_000; i++) {
      const size = 10 ** (random() * 40 - 20);
      const [low, high] = [(random() - 0.3) * size, (random() - 0.3) * size].sort((a, b) => a - b);
      const [bottom, top] = valueRange(low!, high!, unit);
      const most = 5 + Math.floor(random() * 8);
      const ticks = valueTicks(bottom, top, unit, most);
      if (ticks.length > most) throw new Error(`${ticks.length} ticks, ${most} fit: ${ticks}`);
      if (ticks.length < 2 && unit !== 'bytes')
        throw new Error(`${ticks} from ${bottom} to ${top} in ${unit}`);
    }
  });
});
