import { expect, test } from 'vitest';
import { gapText, newestGap } from './gap.ts';
import { Line } from './line.ts';

const line = (...gaps: [number, number][]) => {
  const l = new Line({}, 1000, { window: 1e6, points: 1200 });
  for (const [from, to] of gaps) l.addGap({ from, to, reason: 'log_lost' });
  return l;
};

test('of all gaps of a chart the newest is told', () => {
  expect(newestGap([line([1, 2], [5, 6]), line([3, 4])])).toMatchObject({ from: 5, to: 6 });
  expect(newestGap([line(), line()])).toBeNull();
});

test.each([
  ['log_trimmed', 'the server was away for longer than the log is kept'],
  ['source_dropped', 'a source could not keep what it measured'],
  ['a_later_reason', 'a later reason'],
])('a gap says when and why: %s', (reason, why) => {
  const from = new Date(2018, 11, 12, 10, 0, 4).getTime();
  expect(gapText({ from, to: from + 5000, reason })).toBe(
    `samples may be missing from 10:00:04 to 10:00:09: ${why}`,
  );
});
