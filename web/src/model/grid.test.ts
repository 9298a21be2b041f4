import { expect, test } from 'vitest';
import { gridOf } from './grid.ts';

test('own charts divide the screen', () => {
  const wide = [1, 2, 3, 4, 5, 6].map(count => gridOf(count, 88));
  expect(wide.map(({ columns }) => columns)).toEqual([1, 2, 3, 2, 3, 3]);
});

test.each([20, 40, 55, 88, 133, 190, 400])('rows are full on %s rem', width => {
  for (let count = 1; count <= 40; count++) {
    const { columns, span } = gridOf(count, width);
    expect((count - 1 + span) % columns).toBe(0);
    expect(span).toBeLessThanOrEqual(columns);
  }
});

test('a telephone has one column, a wall has six at most', () => {
  expect([gridOf(11, 22).columns, gridOf(11, 1000).columns]).toEqual([1, 6]);
});
