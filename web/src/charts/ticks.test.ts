import { expect, test } from 'vitest';
import { timeTicks } from './ticks.ts';

const TIME = new Date(2018, 11, 12, 10, 1, 40, 500).getTime();

test.each([
  [100, '10:01:40.500'],
  [10_000, '10:01:40'],
  [60_000, '10:01'],
  [3_600_000, '10:01'],
  [86_400_000, '12-12'],
])('with %d ms between ticks', (step, text) => {
  expect(timeTicks([TIME], step)).toEqual([text]);
});
