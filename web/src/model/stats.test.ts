import { expect, test } from 'vitest';
import { Line } from './line.ts';
import { statsOf, trendOf } from './stats.ts';

function line(values: readonly number[], points = 1000): Line {
  const line = new Line({ __name__: 'a' }, 1000, { window: 100_000, points });
  for (const [i, value] of values.entries()) line.add(1000 * i, value, 100_000);
  return line;
}

test('least, mean and greatest value of a stretch', () => {
  const of = line([1, 2, Number.NaN, 6, 100]);
  expect(statsOf(of, 0, 3_000)).toEqual({ min: 1, mean: 3, max: 6 });
  expect(statsOf(of, 1_000, 2_500)).toEqual({ min: 2, mean: 2, max: 2 });
  expect(statsOf(of, 2_000, 2_500)).toBeNull();
});

test('of columns too', () => {
  const of = line(
    Array.from({ length: 90 }, (_, i) => i),
    8,
  );
  expect(of.columns).not.toBeNull();
  const { min, mean, max } = statsOf(of, 0, 100_000)!;
  expect([min, max]).toEqual([0, 89]);
  expect(Math.abs(mean - 44.5)).toBeLessThan(of.columns!.step / 1000);
});

test('the ends of the floats have a mean', () => {
  expect(statsOf(line([1.7e308, 1.7e308, -1.7e308, -1.7e308]), 0, 9_000)!.mean).toBeCloseTo(0);
});

test.each<[string, number[], string]>([
  ['rising', [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], 'rising'],
  ['falling', [9, 8, 9, 7, 5, 5, 4, 2, 1, 1], 'falling'],
  ['to and fro', [1, 9, 1, 9, 1, 9, 1, 9, 1, 9], 'steady'],
  ['constant', [5, 5, 5, 5, 5, 5, 5, 5, 5, 5], 'steady'],
  ['a single sample', [5], 'steady'],
  ['the ends of the floats', [-1.7e308, -1.7e308, -1.7e308, 0, 0, 0, 0, 1.7e308, 1.7e308, 1.7e308], 'rising'],
])('the trend of %s', (_name, values, trend) => {
  expect(trendOf(line(values), 0, 9_000)).toBe(trend);
});
