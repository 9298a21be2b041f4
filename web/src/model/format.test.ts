import { describe, expect, test } from 'vitest';
import { formatAge, formatTick, formatTime, formatValue, type Unit, unitOf } from './format.ts';

test.each<[string, Unit]>([
  ['cpu_usage_percent', 'percent'],
  ['memory_used_bytes', 'bytes'],
  ['disk_read_bytes_per_second', 'bytesPerSecond'],
  ['request_seconds', 'seconds'],
  ['room_celsius', 'celsius'],
  ['load1', 'number'],
])('the unit of %s is %s', (name, unit) => {
  expect(unitOf(name)).toBe(unit);
});

describe('values have their unit and three digits', () => {
  test.each<[number, Unit, string]>([
    [23.42, 'percent', '23.4 %'],
    [99.96, 'percent', '100 %'],
    [0, 'percent', '0.0 %'],
    [-0.04, 'percent', '0.0 %'],
    [0, 'bytes', '0 B'],
    [1023, 'bytes', '1023 B'],
    [1024, 'bytes', '1.00 KiB'],
    [6.5 * 2 ** 30, 'bytes', '6.50 GiB'],
    [1023.8 * 2 ** 20, 'bytes', '1.00 GiB'],
    [2 ** 70, 'bytes', '1048576 PiB'],
    [999, 'bytesPerSecond', '999 B/s'],
    [0.5, 'bytesPerSecond', '0.50 B/s'],
    [1234, 'bytesPerSecond', '1.23 kB/s'],
    [999_700, 'bytesPerSecond', '1.00 MB/s'],
    [-2_500_000, 'bytesPerSecond', '-2.50 MB/s'],
    [0.034, 'number', '0.03'],
    [12.34, 'number', '12.3'],
    [9999, 'number', '9999'],
    [12_345, 'number', '12.3 k'],
    [3.5, 'seconds', '3.50 s'],
    [21.26, 'celsius', '21.3 °C'],
    [Number.NaN, 'percent', '–'],
    [Number.POSITIVE_INFINITY, 'bytes', '–'],
  ])('%d as %s is %s', (value, unit, text) => {
    expect(formatValue(value, unit)).toBe(text);
  });
});

test.each<[number, Unit, string]>([
  [25, 'percent', '25 %'],
  [2.5, 'percent', '2.5 %'],
  [0, 'percent', '0 %'],
  [8 * 2 ** 30, 'bytes', '8 GiB'],
  [1.5e6, 'bytesPerSecond', '1.5 MB/s'],
  [100, 'number', '100'],
  [0.5, 'number', '0.5'],
])('a tick of %d %s is %s', (value, unit, text) => {
  expect(formatTick(value, unit)).toBe(text);
});

test.each<[number, string]>([
  [-200, '0.0 s'],
  [840, '0.8 s'],
  [9_960, '10 s'],
  [12_300, '12 s'],
  [119_000, '119 s'],
  [300_000, '5 min'],
  [3 * 3_600_000, '3 h'],
])('an age of %d ms is %s', (ms, text) => {
  expect(formatAge(ms)).toBe(text);
});

test('a time of day is that of the browser, to the second or finer', () => {
  const time = new Date(2018, 11, 12, 10, 1, 40, 50).getTime();
  expect(formatTime(time)).toBe('10:01:40');
  expect(formatTime(time, true)).toBe('10:01:40.050');
});
