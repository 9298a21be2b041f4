import { expect, test } from 'vitest';
import { Line } from './line.ts';
import { choose, MOST_LINES, mean, valueNear } from './rank.ts';

const NOW = 100_000;

function line(name: string, values: readonly number[]): Line {
  const l = new Line({ name }, 1000, { window: 100_000, points: 1200 });
  for (const [i, v] of values.entries()) l.add(1000 * (i + 1), v, NOW);
  return l;
}

test('the mean is that of the window, without what cannot be drawn', () => {
  const l = line('a', [100, 2, Number.NaN, 4]);
  expect(mean(l, 2000)).toBe(3);
  expect(mean(line('b', []), 0)).toBeNaN();
});

test('the mean of folded lines is that of the middles of their columns', () => {
  const l = line('a', []);
  l.addColumns(
    { kind: 'columns', ids: [0], x0: 0, step: 1000, ys: [Float64Array.of(1, 0, 4, 1, 3, 3, 5, 4)] },
    0,
    NOW,
  );
  expect(mean(l, 0)).toBe(3);
});

test('few lines are all drawn', () => {
  const lines = [line('a', [1]), line('b', [2])];
  expect(choose(lines, new Set(), 0)).toEqual(lines);
});

test('of many, those of the highest mean are drawn', () => {
  const lines = Array.from({ length: 50 }, (_, i) => line(String(i), [i]));
  const names = choose(lines, new Set(), 0).map(l => Number(l.labels.name));
  expect(names.sort((a, b) => a - b)).toEqual(Array.from({ length: MOST_LINES }, (_, i) => 30 + i));
});

test('lines that are drawn stay, though others rise above them', () => {
  const lines = Array.from({ length: 50 }, (_, i) => line(String(i), [i]));
  const chosen = choose(lines, new Set(), 0);
  for (let t = 2; t < 90; t++) lines[0]!.add(1000 * t, 1e6, NOW);
  expect(choose(lines, new Set(chosen.map(l => l.key)), 0)).toEqual(expect.arrayContaining(chosen));
  expect(choose(lines, new Set(), 0)).toContain(lines[0]);
});

test('a line without values comes last', () => {
  const lines = [
    line('empty', []),
    ...Array.from({ length: MOST_LINES }, (_, i) => line(String(i), [i + 1])),
  ];
  expect(choose(lines, new Set(), 0)).not.toContain(lines[0]);
});

test('the value under the pointer is that of the nearest sample within reach', () => {
  const l = line('a', [1, 2, 3]);
  expect([999, 1400, 1600, 3900].map(t => valueNear(l, t, 1500))).toEqual([1, 1, 2, 3]);
  expect(valueNear(l, 5000, 1500)).toBeNaN();
  expect(valueNear(line('b', []), 0, 1500)).toBeNaN();
});

test('the value under the pointer of a folded line is the last of its column', () => {
  const l = line('a', []);
  l.addColumns({ kind: 'columns', ids: [0], x0: 0, step: 4000, ys: [Float64Array.of(1, 0, 9, 5)] }, 0, NOW);
  expect(valueNear(l, 1000, 1500)).toBe(5);
  expect(valueNear(l, 9000, 1500)).toBeNaN();
});
