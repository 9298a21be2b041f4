import { describe, expect, test } from 'vitest';
import { randomFrom } from '../testing/random.ts';
import { Samples } from './samples.ts';

function contents(samples: Samples): [number, number][] {
  return Array.from({ length: samples.length }, (_, i) => [samples.time(i), samples.value(i)]);
}

test('a late sample is put where it belongs', () => {
  const samples = new Samples();
  for (const t of [1000, 3000, 2000, 500]) samples.upsert(t, t / 1000);
  expect(contents(samples)).toEqual([
    [500, 0.5],
    [1000, 1],
    [2000, 2],
    [3000, 3],
  ]);
});

test('a sample is identified by its time and the first value wins', () => {
  const samples = new Samples();
  expect(samples.upsert(1000, 1)).toBe(true);
  expect(samples.upsert(2000, 2)).toBe(true);
  expect(samples.upsert(1000, 9)).toBe(false);
  expect(samples.upsert(2000, 9)).toBe(false);
  expect(contents(samples)).toEqual([
    [1000, 1],
    [2000, 2],
  ]);
});

test('dropping keeps the sample from which the line enters the window', () => {
  const samples = new Samples();
  for (const t of [1000, 2000, 3000]) samples.upsert(t, 0);
  samples.dropBefore(2500);
  expect(contents(samples).map(([t]) => t)).toEqual([2000, 3000]);
  samples.dropBefore(2000);
  expect(samples.length).toBe(2);
  samples.dropBefore(9000);
  expect(contents(samples).map(([t]) => t)).toEqual([3000]);
});

test('indexAt finds the first sample at or after a time', () => {
  const samples = new Samples();
  for (const t of [1000, 2000]) samples.upsert(t, 0);
  expect([0, 1000, 1001, 2000, 2001].map(t => samples.indexAt(t))).toEqual([0, 0, 1, 1, 2]);
});

describe('whatever comes in whatever order, each sample is held once and in order', () => {
  test.each([1, 2, 3, 4, 5])('seed %i', seed => {
    const random = randomFrom(seed);
    const samples = new Samples();
    const expected = new Map<number, number>();
    let newest = 0;
    for (let i = 0; i < 5_000; i++) {
      newest += Math.floor(random() * 3);
      const t = random() < 0.8 ? newest : newest - Math.floor(random() * 200);
      if (samples.upsert(t, i) !== !expected.has(t)) throw new Error(`sample ${i} was misjudged`);
      if (!expected.has(t)) expected.set(t, i);
      if (random() < 0.01) {
        const horizon = newest - 1_000;
        samples.dropBefore(horizon);
        const first = samples.length > 0 ? samples.time(0) : Number.POSITIVE_INFINITY;
        for (const time of expected.keys()) if (time < first) expected.delete(time);
      }
    }
    expect(contents(samples)).toEqual([...expected].sort((a, b) => a[0] - b[0]));
  });
});

test('a window that slides for a day takes no more memory than the window', () => {
  const samples = new Samples();
  for (let t = 0; t < 86_400; t++) {
    samples.upsert(t, t);
    samples.dropBefore(t - 100);
  }
  expect(samples.length).toBe(102);
  expect(samples.capacity).toBeLessThanOrEqual(256);
});
