import { describe, expect, test } from 'vitest';
import { randomFrom } from '../testing/random.ts';
import type { Unit } from './format.ts';
import { valueRange } from './scale.ts';

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
