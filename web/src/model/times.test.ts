import { expect, test } from 'vitest';
import { momentText, sinceText, stretchText } from './times.ts';

const at = (...parts: [number, number, number, number?, number?, number?, number?]) =>
  new Date(...parts).getTime();

test('a moment has as much of its date as the chart needs', () => {
  const noon = at(2026, 10, 27, 12);
  expect(momentText(noon, noon - 100_000, noon)).toBe('12:00:00');
  expect(momentText(noon + 5, noon - 9_000, noon + 100)).toBe('12:00:00.005');
  const yesterday = noon - 86_400_000;
  expect(momentText(yesterday, yesterday, noon)).toBe('26 Nov 12:00:00');
  expect(momentText(noon, yesterday, noon)).toBe('27 Nov 12:00:00');
});

test('a stretch has its days where they are not of today', () => {
  const noon = at(2026, 10, 27, 12);
  expect(stretchText(noon - 100_000, noon, noon)).toBe('11:58:20 – 12:00:00');
  expect(stretchText(noon - 86_400_000, noon - 86_300_000, noon)).toBe('26 Nov 12:00:00 – 12:01:40');
  expect(stretchText(noon - 86_400_000, noon, noon)).toBe('26 Nov 12:00:00 – 27 Nov 12:00:00');
});

test('what began on another day says so', () => {
  const noon = at(2026, 10, 27, 12);
  expect(sinceText(noon - 5_000, noon)).toBe('11:59:55');
  expect(sinceText(noon - 86_400_000, noon)).toBe('26 Nov 12:00:00');
});
