import { describe, expect, test } from 'vitest';
import { fixtures } from '../testing/fixtures.ts';
import { isSamples, windowEndingAt } from './samples.ts';

describe('every recorded message of namespace / with samples', () => {
  test.each([...fixtures].filter(([, f]) => f.namespace === '/' && f.event !== 'gap'))(
    '%s is drawn',
    (_name, f) => {
      expect(isSamples(f.arg)).toBe(true);
    },
  );
});

test.each([
  ['nothing', undefined],
  ['text', 'x'],
  ['lists of other lengths', { x: ['2018-12-12 10:00:00'], y: [] }],
  ['times as numbers', { x: [1], y: [1] }],
  ['times of another form', { x: ['12.12.2018 10:00'], y: [1] }],
  ['values as text', { x: ['2018-12-12 10:00:00'], y: ['1'] }],
])('%s is not drawn', (_name, message) => {
  expect(isSamples(message)).toBe(false);
});

test('the window ends at the newest sample, in whatever zone the server is', () => {
  const [from, to] = windowEndingAt('2018-12-12 10:01:40.050', 100);
  expect(to).toBe(Date.UTC(2018, 11, 12, 10, 1, 40, 50));
  expect(to - from).toBe(100_000);
});
