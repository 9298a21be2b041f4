import { expect, test } from 'vitest';
import { isInside, isolated, isState, nearestOwn, nearestTime, stepFrom } from './points.ts';

test('a sample between two breaks is marked, or nobody would see it', () => {
  expect(isolated([1, 2, null, 3, null, 4, 5])).toEqual([3]);
  expect(isolated([1])).toEqual([0]);
});

test('times of other lines are no breaks', () => {
  expect(isolated([1, undefined, 2])).toBeNull();
  expect(isolated([undefined, 1, undefined, null])).toEqual([1]);
});

test('without such samples there is null, not an empty list', () => {
  expect(isolated([1, 2])).toBeNull();
  expect(isolated([])).toBeNull();
});

test('the pointer finds the line’s own value past the times of others, but not across a break', () => {
  expect(nearestOwn([1, undefined, undefined, 2], 1)).toBe(0);
  expect(nearestOwn([1, null, undefined], 2)).toBeNull();
  expect(nearestOwn([undefined, undefined], 0)).toBeNull();
});

test('a line of states has nothing but 0 and 1', () => {
  expect([[0, 1, undefined, null, 0], [0, 1, 2], [0, 0.5], [null], []].map(isState)).toEqual([
    true,
    false,
    false,
    false,
    false,
  ]);
});

test('the ends of a gap are not in it', () => {
  expect([1, 2, 3].map(time => isInside(time, { from: 1, to: 3 }))).toEqual([false, true, false]);
});

test('the nearest time that counts is found', () => {
  const x = [0, 10, 20, 30];
  expect([-5, 14, 16, 99].map(time => nearestTime(x, time, () => true))).toEqual([0, 1, 2, 3]);
  expect(nearestTime(x, 14, i => i !== 1)).toBe(2);
  expect(nearestTime(x, 14, () => false)).toBeNull();
});

test.each<[number | null, number, number | null]>([
  [null, -1, 40],
  [20, 1, 30],
  [20, -1, 10],
  [25, 1, 30],
  [25, -1, 20],
  [40, 1, 40],
  [10, -1, 10],
  [10, 10, 40],
  [40, -10, 10],
  [Number.NEGATIVE_INFINITY, 1, 10],
])('from %s, %d samples on: %s', (time, by, found) => {
  expect(stepFrom([10, 20, 30, 40], time, by)).toBe(found);
  expect(stepFrom([], time, by)).toBeNull();
});
