import { describe, expect, test } from 'vitest';
import { randomFrom } from '../testing/random.ts';
import { Columns } from './columns.ts';

function contents(columns: Columns): [number, number, number, number, number][] {
  const out: [number, number, number, number, number][] = [];
  columns.forEach(Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY, k => {
    out.push([k, columns.value(k, 0), columns.value(k, 1), columns.value(k, 2), columns.value(k, 3)]);
  });
  return out;
}

test('a column has the first, lowest, highest and last value of its samples', () => {
  const columns = new Columns(10, 100);
  for (const [t, v] of [
    [20, 5],
    [23, 1],
    [26, 9],
    [29, 4],
    [30, 7],
  ] as const)
    columns.fold(t, v);
  expect(contents(columns)).toEqual([
    [2, 5, 1, 9, 4],
    [3, 7, 7, 7, 7],
  ]);
});

describe('the order in which samples come does not matter, nor how often', () => {
  test.each([1, 2, 3])('seed %i', seed => {
    const random = randomFrom(seed);
    const samples = Array.from({ length: 500 }, (_, i) => [i * 7, Math.round(random() * 1000)] as const);
    const inOrder = new Columns(60, 100);
    for (const [t, v] of samples) inOrder.fold(t, v);
    const shuffled = new Columns(60, 100);
    const twice = [...samples, ...samples].sort(() => random() - 0.5);
    for (const [t, v] of twice) shuffled.fold(t, v);
    expect(contents(shuffled)).toEqual(contents(inOrder));
  });
});

test('columns of the server and samples after it merge into what folding all samples gives', () => {
  const all = new Columns(10, 100);
  const merged = new Columns(10, 100);
  const samples = Array.from({ length: 25 }, (_, t) => [t, (t * 7) % 11] as const);
  for (const [t, v] of samples) all.fold(t, v);
  // The server folded up to t = 17, the middle of column 1; the rest comes as updates.
  const server = new Columns(10, 100);
  for (const [t, v] of samples.slice(0, 18)) server.fold(t, v);
  for (const [k, first, low, high, last] of contents(server))
    merged.foldColumn(k, 17, first, low, high, last);
  for (const [t, v] of samples.slice(18)) merged.fold(t, v);
  expect(contents(merged)).toEqual(contents(all));
});

test('a late sample moves the extremes of a column of the server, but not its ends', () => {
  const columns = new Columns(10, 100);
  columns.foldColumn(0, 100, 3, 1, 5, 4);
  columns.fold(5, 9);
  expect(contents(columns)).toEqual([[0, 3, 1, 9, 4]]);
});

test('no more columns are held than there is room for, and one that is too old never comes back', () => {
  const columns = new Columns(10, 3);
  for (let t = 0; t < 100; t += 10) columns.fold(t, t);
  expect(contents(columns).map(([k]) => k)).toEqual([7, 8, 9]);
  columns.fold(60, 1);
  expect(contents(columns).map(([k]) => k)).toEqual([7, 8, 9]);
});

test('a place that is used again forgets the column that it held', () => {
  const columns = new Columns(10, 3);
  columns.fold(0, 100);
  columns.fold(30, 1);
  expect(contents(columns)).toEqual([[3, 1, 1, 1, 1]]);
});

test('what cannot be drawn is left out', () => {
  const columns = new Columns(10, 3);
  columns.fold(0, Number.NaN);
  columns.foldColumn(1, 100, Number.NaN, Number.NaN, Number.NaN, Number.NaN);
  expect(contents(columns)).toEqual([]);
});

test('times before 1970 have columns too', () => {
  const columns = new Columns(10, 5);
  columns.fold(-15, 1);
  columns.fold(-5, 2);
  expect(contents(columns).map(([k]) => k)).toEqual([-2, -1]);
});
