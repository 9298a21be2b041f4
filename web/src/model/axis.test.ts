import { describe, expect, test } from 'vitest';
import { axisOf, type Span } from './axis.ts';
import { NO_LIMITS } from './limits.ts';

const span = (low: number, high: number, more: Partial<Span> = {}): Span => ({
  low,
  high,
  least: low > 0 ? low : high,
  states: false,
  whole: Number.NaN,
  ...more,
});

describe('a logarithmic axis', () => {
  test.each<[number, number, number, string]>([
    [0.002, 3, 6, '0.001 0.01 0.1 1 10'],
    [1, 9, 6, '1 2 5 10'],
    [1, 1, 6, '1 2 5 10'],
    [1e-12, 1e12, 5, '1e−12 0.000001 1 1 M 1 T'],
  ])('from %d to %d with %d ticks', (low, high, most, labels) => {
    const axis = axisOf('log', span(low, high), 'number', NO_LIMITS);
    const ticks = axis.ticks(most);
    expect(axis.labels(ticks).join(' ')).toBe(labels);
    expect([axis.place(axis.bottom), axis.place(axis.top)]).toEqual([0, 1]);
    expect(axis.place(0)).toBe(-1);
  });

  test.each([
    [5e-324, 1.79e308],
    [5e-324, 5e-324],
    [1.7e308, 1.79e308],
  ])('comes to an end from %d to %d', (low, high) => {
    const axis = axisOf('log', span(low, high), 'number', NO_LIMITS);
    expect(axis.ticks(20).length).toBeLessThanOrEqual(21);
    expect(Number.isFinite(axis.place(low))).toBe(true);
  });

  test('without a value above zero it is a plain one', () => {
    const axis = axisOf('log', span(-5, 0, { least: Number.NaN }), 'number', NO_LIMITS);
    expect(axis.ticks(5).length).toBeGreaterThan(1);
  });
});

test('what goes out is told as an amount, and a side of nothing has room', () => {
  const axis = axisOf('mirror', span(-40e6, 90e6), 'bytesPerSecond', NO_LIMITS);
  expect([axis.bottom, axis.top]).toEqual([-50e6, 100e6]);
  expect(axis.labels(axis.ticks(4)).join(' ')).toBe('50 MB/s 0 MB/s 50 MB/s 100 MB/s');
  expect(axisOf('mirror', span(0, 90), 'number', NO_LIMITS).bottom).toBe(-10);
});

test('a stack begins at zero, and ends at its whole where it has one', () => {
  const gib = 2 ** 30;
  const axis = axisOf('stack', span(2 * gib, 23.5 * gib, { whole: 23.5 * gib }), 'bytes', NO_LIMITS);
  expect([axis.bottom, axis.top]).toEqual([0, 23.5 * gib]);
  expect(axisOf('stack', span(20, 43), 'percent', NO_LIMITS)).toMatchObject({ bottom: 0, top: 50 });
  expect(axisOf('stack', span(20, 100.4), 'percent', NO_LIMITS)).toMatchObject({ bottom: 0, top: 100 });
});

test('states have two ticks', () => {
  expect(axisOf('lines', span(0, 1, { states: true }), 'number', NO_LIMITS).ticks(9)).toEqual([0, 1]);
});
