import { expect, test } from 'vitest';
import { fixture } from '../testing/fixtures.ts';
import { decodeHistoryAck } from './decode.ts';
import { lastSample, Past } from './past.ts';

function recorded(more: object = {}): Past {
  const answer = decodeHistoryAck({ ...(fixture('history').ack as object), ...more });
  if (!answer.ok) throw new Error(answer.code);
  return new Past(answer);
}

const T = 1544608800000;

test('a history has its samples and its gaps', () => {
  const { lines } = recorded({ gaps: [{ ids: [0, 9], from: T, to: T + 500, reason: 'damaged' }] });
  const samples = lines[0]!.samples!;
  expect(Array.from({ length: samples.length }, (_, i) => samples.value(i))).toEqual([3.1, 4, 4.25]);
  expect(lines[0]!.gaps).toEqual([{ from: T, to: T + 500, reason: 'damaged' }]);
  expect(lastSample(lines)).toMatchObject({ time: T + 2000, value: 4.25 });
});

test('a history in columns is kept in its columns, however many there are', () => {
  const y = Array.from({ length: 4 * 3000 }, (_, i) => i);
  const { lines } = recorded({
    from: T,
    to: T + 3_000_000 - 1,
    blocks: [{ ids: [0], x0: T, step: 1000, y: [y] }],
  });
  let columns = 0;
  lines[0]!.columns!.forEach(Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY, () => columns++);
  expect([lines[0]!.columns!.step, columns]).toEqual([1000, 3000]);
});

test('a series without a sample is no line of it', () => {
  const { lines } = recorded({ blocks: [] });
  expect([lines, lastSample(lines)]).toEqual([[], null]);
});
