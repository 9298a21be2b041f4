import { expect, test } from 'vitest';
import { broken, Lines } from './live.ts';

const series = [
  { id: 0, labels: { __name__: 'load1', host: 'web1' }, interval_ms: 1000 },
  { id: 1, labels: { __name__: 'load1', host: 'web2' }, interval_ms: 0 },
];

test('a history in parts, updates, and late samples, each once and in order', () => {
  const lines = new Lines();
  lines.bootstrap({
    from: null,
    series,
    blocks: [
      {
        ids: [0, 1],
        x: [1000, 2000],
        y: [
          [1, 2],
          [10, 20],
        ],
      },
    ],
  });
  lines.bootstrap({ from: null, blocks: [{ ids: [0], x: [3000], y: [[3]] }] });
  lines.update({ blocks: [{ ids: [0], x: [2000, 2500], y: [[9, 4]] }] });
  expect(lines.traces(0)).toEqual([
    { name: 'load1 web1', x: [1000, 2000, 2500, 3000], y: [1, 2, 4, 3] },
    { name: 'load1 web2', x: [1000, 2000], y: [10, 20] },
  ]);
  expect(lines.traces(2500)[0]!.x, 'what left the window').toEqual([2500, 3000]);
  lines.bootstrap({ from: null, series: series.slice(0, 1), blocks: [] });
  expect(lines.traces(0)).toEqual([{ name: 'load1 web1', x: [], y: [] }]);
});

test('columns have four values each, and none where nothing was measured', () => {
  const lines = new Lines();
  const y = [[1, 0, 5, 2, null, null, null, null]];
  lines.bootstrap({ from: null, series, blocks: [{ ids: [1], x0: 4000, step: 4000, y }] });
  expect(lines.traces(0)[1]).toMatchObject({ x: [4000, 5000, 6000, 7000], y: [1, 0, 5, 2] });
});

test('an outage is a break, not a line', () => {
  expect(
    broken(
      [
        [0, 1],
        [1000, 2],
        [9000, 3],
      ],
      3000,
    ),
  ).toEqual({ x: [0, 1000, 5000, 9000], y: [1, 2, null, 3] });
});
