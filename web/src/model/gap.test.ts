import { expect, test } from 'vitest';
import { gapCount, gapsOf, gapText } from './gap.ts';
import { Line } from './line.ts';

const line = (...gaps: [from: number, to: number, reason?: string][]) => {
  const l = new Line({}, 1000, { window: 1e6, points: 1200 });
  for (const [from, to, reason = 'log_lost'] of gaps) l.addGap({ from, to, reason });
  return l;
};

const spans = (...lines: Line[]) => gapsOf(lines).map(({ from, to }) => [from, to]);

test('a chart has the gaps of all its lines, in order', () => {
  expect(spans(line([1, 2], [5, 6]), line([3, 4]))).toEqual([
    [1, 2],
    [3, 4],
    [5, 6],
  ]);
  expect(gapsOf([line(), line()])).toEqual([]);
});

test('what several lines miss together is one gap, as long as the longest', () => {
  expect(spans(line([1, 5]), line([2, 7]), line([1, 5]))).toEqual([[1, 7]]);
  expect(spans(line([3, 3]), line([3, 3]))).toEqual([[3, 3]]);
});

test('gaps that only touch, or have another reason, are told apart', () => {
  expect(spans(line([1, 5]), line([5, 7]))).toEqual([
    [1, 5],
    [5, 7],
  ]);
  expect(spans(line([1, 5]), line([2, 4, 'log_trimmed']))).toEqual([
    [1, 5],
    [2, 4],
  ]);
});

test('gaps are counted in words', () => {
  expect([gapCount(gapsOf([line([1, 2])])), gapCount(gapsOf([line([1, 2], [3, 4])]))]).toEqual([
    '1 gap',
    '2 gaps',
  ]);
});

test.each([
  ['log_trimmed', 'this server was away for longer than the log is kept'],
  ['source_dropped', 'the source lost samples before it could send them'],
  ['log_lost', 'the log lost samples (Redis restarted or failed over)'],
  ['damaged', 'files of this server’s history were damaged'],
  ['a_later_reason', 'a later reason'],
])('a gap says when and why: %s', (reason, why) => {
  const from = new Date(2018, 11, 12, 10, 0, 4).getTime();
  for (const around of [0, 1]) {
    expect(gapText({ from: from - around, to: from + 5000 + around, reason })).toBe(
      `samples may be missing from 10:00:04 to 10:00:09: ${why}`,
    );
  }
});
