import { expect, test } from 'vitest';
import { csvOf } from './csv.ts';
import { Line } from './line.ts';

const NOW = 1_700_000_000_000;

function line(points: number, samples: readonly (readonly [number, number])[]): Line {
  const made = new Line({ __name__: 'a' }, 1_000, { window: 100_000, points });
  for (const [seconds, value] of samples) made.add(NOW - 1_000 * seconds, value, NOW);
  return made;
}

test('a row for each time, a column for each line, and no more than is shown', () => {
  const a = line(100, [
    [30, 1],
    [20, 2.5],
    [10, -3e-7],
  ]);
  const b = line(100, [
    [20, 7],
    [15, Number.POSITIVE_INFINITY],
  ]);
  const csv = csvOf(
    [
      { name: 'a, "b"', line: a, unit: 'number' },
      { name: '=b', line: b, unit: 'number' },
    ],
    NOW - 25_000,
    NOW,
  );
  expect(csv.split('\n')).toEqual([
    `time,"a, ""b""",'=b`,
    '2023-11-14T22:13:00.000Z,2.5,7',
    '2023-11-14T22:13:05.000Z,,Infinity',
    '2023-11-14T22:13:10.000Z,-3e-7,',
    '',
  ]);
});

test('a line that was folded has its least and greatest values', () => {
  const folded = line(
    8,
    Array.from({ length: 90 }, (_, i) => [90 - i, i] as const),
  );
  expect(folded.columns).not.toBeNull();
  const [head, ...rows] = csvOf([{ name: 'a', line: folded, unit: 'number' }], NOW - 90_000, NOW)
    .trim()
    .split('\n');
  expect(head).toBe('time,a (min),a (max)');
  for (const row of rows) {
    const [, low, high] = row.split(',').map(Number);
    expect(low).toBeLessThanOrEqual(high!);
  }
});
