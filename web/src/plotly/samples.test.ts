import { describe, expect, test } from 'vitest';
import { fixtures } from '../testing/fixtures.ts';
import { isSamples, joined, windowEndingAt, withBreaks } from './samples.ts';

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

const at = (...times: string[]) => ({
  x: times.map(time => `2026-10-25 ${time}`),
  y: times.map((_, i) => i),
});

test('where clocks are put back no hour is there twice', () => {
  const { x } = joined(at('02:59:58', '02:59:59'), at('02:00:00'), 10);
  expect(x).toEqual(at('01:59:58', '01:59:59', '02:00:00').x);
  expect(joined(at('02:59:58'), at('02:59:59'), 10).x).toEqual(at('02:59:58', '02:59:59').x);
  expect(joined(at('10:00:00', '10:00:01'), at('10:00:02'), 2).x).toEqual(at('10:00:01', '10:00:02').x);
});

test('an outage and a declared gap are breaks, not lines', () => {
  const outage = withBreaks(at('10:00:00', '10:00:01', '10:00:02', '10:00:12'));
  expect(outage.y).toEqual([0, 1, 2, null, 3]);
  expect(outage.x[3]).toBe('2026-10-25 10:00:07');
  const gap = [{ from: '2026-10-25 10:00:00', to: '2026-10-25 10:00:02' }];
  expect(withBreaks(at('10:00:00', '10:00:02', '10:00:04'), gap).y).toEqual([0, null, 1, 2]);
});
