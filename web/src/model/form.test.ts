import { describe, expect, test } from 'vitest';
import { goesOut, isWhole, layOut, rolesOf } from './form.ts';

test.each([
  ['disk_write_bytes_per_second', true],
  ['network_transmit_bytes_per_second', true],
  ['net tx', true],
  ['traffic direction out', true],
  ['network_receive_bytes_per_second', false],
  ['rewritten', false],
  ['route', false],
])('%s goes out: %s', (words, out) => {
  expect(goesOut(words)).toBe(out);
});

test.each([
  ['memory_total_bytes', true],
  ['swap_used_bytes', true],
  ['memory_used_bytes', false],
  ['totally', false],
])('%s is a whole: %s', (words, whole) => {
  expect(isWhole(words)).toBe(whole);
});

describe('what is stacked', () => {
  const roles = rolesOf('stack', ['user', 'system', 'cpu total']);

  test('stands upon what is below it, and its whole on nothing', () => {
    const ys = [
      [1, 2],
      [10, 20],
      [100, 100],
    ];
    expect(layOut(ys, roles, [true, true, true])).toEqual([
      [1, 2],
      [11, 22],
      [100, 100],
    ]);
  });

  test('does not stand upon what is hidden', () => {
    expect(
      layOut(
        [
          [1, 2],
          [10, 20],
        ],
        roles,
        [false, true],
      ),
    ).toEqual([
      [1, 2],
      [10, 20],
    ]);
  });

  test('goes on between samples of others, and stands on nothing where a line is broken', () => {
    const ys = [
      [1, undefined, null, 4],
      [10, 20, 30, undefined],
    ];
    expect(layOut(ys, roles, [true, true])).toEqual([
      [1, undefined, null, 4],
      [11, 21, 30, undefined],
    ]);
  });
});

test('what goes out is below zero', () => {
  const roles = rolesOf('mirror', ['receive', 'transmit']);
  expect(
    layOut(
      [
        [1, null],
        [2, 3],
      ],
      roles,
      [true, true],
    ),
  ).toEqual([
    [1, null],
    [-2, -3],
  ]);
});

test('lines are as they are', () => {
  const ys = [
    [1, 2],
    [3, undefined],
  ];
  expect(layOut(ys, rolesOf('lines', ['a', 'b']), [true, true])).toEqual(ys);
});
