import { expect, test } from 'vitest';
import { type Level, levelOf, limitText, parseLimit, withLimits } from './limits.ts';

test.each<[string, number | null, boolean, string]>([
  ['80', 80, false, '80'],
  ['>80', 80, false, '80'],
  ['< 10.5', 10.5, true, '<10.5'],
  ['-3e-4', -3e-4, false, '-0.0003'],
  ['−5', -5, false, '-5'],
  ['', null, false, ''],
  ['high', null, false, ''],
  ['1e999', null, false, ''],
])('“%s” is a limit', (text, value, below, spelt) => {
  const limit = parseLimit(text);
  expect(limit).toEqual(value === null ? null : { value, below });
  expect(limitText(limit)).toBe(spelt);
});

test.each<[number, string, string, Level]>([
  [79, '80', '95', 'ok'],
  [80, '80', '95', 'warn'],
  [95, '80', '95', 'bad'],
  [9, '<20', '<10', 'bad'],
  [15, '<20', '<10', 'warn'],
  [30, '<20', '<10', 'ok'],
  [99, '', '95', 'bad'],
  [99, '', '', 'ok'],
  [Number.NaN, '80', '95', 'ok'],
])('%d with %s and %s is %s', (value, warn, bad, level) => {
  expect(levelOf(value, { warn: parseLimit(warn), bad: parseLimit(bad) })).toBe(level);
});

test('limits that are near stand on the paper, and those far away do not press the line flat', () => {
  const limits = { warn: parseLimit('80'), bad: parseLimit('95') };
  expect(withLimits(60, 75, limits)).toEqual([60, 95]);
  expect(withLimits(1, 3, limits)).toEqual([1, 3]);
  expect(withLimits(Number.NaN, Number.NaN, limits)).toEqual([Number.NaN, Number.NaN]);
});
