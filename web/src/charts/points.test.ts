import { expect, test } from 'vitest';
import { isolated, nearestOwn } from './points.ts';

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
