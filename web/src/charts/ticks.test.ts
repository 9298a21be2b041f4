import { expect, test, vi } from 'vitest';
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

test('where clocks are put back, the hour that is there twice is told apart', () => {
  vi.stubEnv('TZ', 'Europe/Paris');
  const start = Date.UTC(2026, 9, 25, 0, 0);
  const ticks = [0, 1, 2, 3].map(i => start + 1_800_000 * i);
  expect(timeTicks(ticks, 1_800_000)).toEqual(['02:00+2', '02:30+2', '02:00+1', '02:30+1']);
  expect(timeTicks(ticks.slice(0, 2), 1_800_000)).toEqual(['02:00', '02:30']);
  vi.unstubAllEnvs();
});
