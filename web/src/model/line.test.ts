import { expect, test } from 'vitest';
import { columnsOf, samplesOf } from '../testing/dump.ts';
import { type Extent, Line } from './line.ts';
import type { ColumnBlock } from './wire.ts';

const SECOND = 1_000;
const DAY = 86_400 * SECOND;

function line(extent: Extent): Line {
  return new Line({ __name__: 'load1' }, SECOND, extent);
}

function columnBlock(x0: number, step: number, values: number[]): ColumnBlock {
  return { kind: 'columns', ids: [0], x0, step, ys: [Float64Array.from(values)] };
}

test('samples are held as they came while they fit', () => {
  const l = line({ window: 100 * SECOND, points: 1200 });
  for (let t = 0; t <= 100; t++) l.add(t * SECOND, t, t * SECOND);
  expect(samplesOf(l)).toHaveLength(101);
  expect([l.newestTime, l.newestValue]).toEqual([100 * SECOND, 100]);
});

test('a full window that slides is never folded', () => {
  const l = line({ window: 1200 * SECOND, points: 1200 });
  for (let t = 0; t < 10_000; t++) {
    l.add(t * SECOND, t, t * SECOND);
    if (t % 100 === 0) l.trim(t * SECOND);
  }
  expect(l.columns).toBeNull();
});

test('a day of samples comes to no more columns than a quarter of the points, and the ones at its ends', () => {
  const points = 1200;
  const l = line({ window: DAY, points });
  for (let t = 0; t < DAY; t += SECOND) l.add(t, t % 7000, t);
  const columns = columnsOf(l);
  expect(l.columns!.step).toBe(DAY / (points / 4));
  expect(columns.length).toBeLessThanOrEqual(points / 4 + 1);
  expect(Math.max(...columns.map(c => c[3]!))).toBe(6000);
});

test('a peak of one sample stays visible when the window is folded', () => {
  const l = line({ window: DAY, points: 1200 });
  for (let t = 0; t < DAY; t += 10 * SECOND) l.add(t, t === 43_200 * SECOND ? 99 : 1, t);
  expect(columnsOf(l).filter(c => c[3] === 99)).toHaveLength(1);
});

test('columns of the server and new samples share its grid', () => {
  const l = line({ window: DAY, points: 1200 });
  const step = 288 * SECOND;
  l.addColumns(
    columnBlock(10 * step, step, [1, 0.5, 99.5, 2, Number.NaN, Number.NaN, Number.NaN, Number.NaN]),
    0,
    11.5 * step,
  );
  l.add(11.6 * step, 7, 11.6 * step);
  expect(columnsOf(l)).toEqual([
    [10, 1, 0.5, 99.5, 2],
    [11, 7, 7, 7, 7],
  ]);
});

test('samples that were there before columns came are folded with them', () => {
  const l = line({ window: DAY, points: 1200 });
  const step = 288 * SECOND;
  l.add(5 * step + 1, 3, 6 * step);
  l.addColumns(columnBlock(6 * step, step, [1, 1, 2, 2]), 0, 7 * step);
  expect(columnsOf(l).map(c => c[0])).toEqual([5, 6]);
});

test('of two grids the coarser is kept, and no extreme is lost', () => {
  const l = line({ window: DAY, points: 1200 });
  l.addColumns(columnBlock(0, 100 * SECOND, [1, 0, 9, 2, 3, 2, 5, 4]), 0, DAY);
  l.addColumns(columnBlock(400 * SECOND, 200 * SECOND, [1, 1, 8, 8]), 0, DAY);
  expect(columnsOf(l)).toEqual([
    [0, 1, 0, 9, 4],
    [2, 1, 1, 8, 8],
  ]);
  l.addColumns(columnBlock(600 * SECOND, 100 * SECOND, [5, 4, 7, 6]), 0, DAY);
  expect(columnsOf(l).at(-1)).toEqual([3, 5, 4, 7, 6]);
});

test('a sample far ahead of the server is not believed, nor one far behind the window', () => {
  const l = line({ window: 100 * SECOND, points: 1200 });
  const now = DAY;
  l.add(now + 3600 * SECOND, 1, now);
  l.add(now - 201 * SECOND, 1, now);
  expect(samplesOf(l)).toEqual([]);
});

test('the same gap twice is one, and a gap that left the window is forgotten', () => {
  const l = line({ window: 100 * SECOND, points: 1200 });
  l.addGap({ from: 5_000, to: 8_000, reason: 'log_trimmed' });
  l.addGap({ from: 5_000, to: 8_000, reason: 'log_trimmed' });
  expect(l.gaps).toHaveLength(1);
  l.trim(109 * SECOND);
  expect(l.gaps).toHaveLength(0);
});

test('however many gaps are declared, the memory for them is bounded', () => {
  const l = line({ window: 1e9, points: 1200 });
  for (let i = 0; i < 1_000; i++) l.addGap({ from: i * 10, to: i * 10 + 5, reason: 'source_dropped' });
  expect(l.gaps).toHaveLength(64);
  expect(l.gaps.at(-1)!.from).toBe(9_990);
});
