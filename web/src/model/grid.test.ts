import { expect, test } from 'vitest';
import { gridOf, roomFor, turnOf } from './grid.ts';

/** A screen of 1920 by 1080 without head and foot, rem. */
const [WIDE, HIGH] = [133, 70];

test('own charts divide the screen', () => {
  const grids = [1, 2, 3, 4, 5, 6, 9, 12].map(count => gridOf(count, WIDE, HIGH));
  expect(grids.map(({ columns }) => columns)).toEqual([1, 2, 2, 2, 3, 3, 3, 4]);
});

test('all charts of a host stand on one screen', () => {
  for (const count of [10, 11, 12]) {
    const { columns, span } = gridOf(count, WIDE, HIGH);
    expect(Math.ceil((count - 1 + span) / columns) * 17).toBeLessThanOrEqual(HIGH);
  }
});

test.each([20, 40, 55, 88, 133, 190, 400])('rows are full on %s rem', width => {
  for (let count = 1; count <= 40; count++) {
    const { columns, span } = gridOf(count, width, HIGH);
    expect((count - 1 + span) % columns).toBe(0);
    expect(span).toBeLessThanOrEqual(columns);
  }
});

test('a telephone has one column, a wall has six at most', () => {
  expect([gridOf(11, 22, 50).columns, gridOf(40, 1000, 60).columns]).toEqual([1, 6]);
});

test('a wall turns through all charts, and shows no more than there is room for', () => {
  for (let count = 1; count <= 30; count++) {
    const all = Array.from({ length: count }, (_, i) => i);
    const most = roomFor(100, 56);
    const groups = Math.ceil(count / most);
    const seen = Array.from({ length: groups }, (_, turn) => turnOf(all, most, turn));
    expect(seen.flat()).toEqual(all);
    expect(turnOf(all, most, groups)).toEqual(seen[0]);
    expect(Math.max(...seen.map(({ length }) => length))).toBeLessThanOrEqual(most);
  }
});
