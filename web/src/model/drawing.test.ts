import { describe, expect, test } from 'vitest';
import { draw } from './drawing.ts';
import { Line } from './line.ts';

function line(interval: number, samples: readonly (readonly [number, number])[]): Line {
  const l = new Line({ __name__: 'load1', host: String(interval) }, interval, { window: 1e6, points: 1200 });
  for (const [t, v] of samples) l.add(t, v, 1e6);
  return l;
}

test('what promised no rhythm goes on over its pauses, and is broken by a long silence once it had one', () => {
  const own = (...times: number[]) => {
    const line = new Line({ __name__: 'train_loss' }, 1, { window: 1e6, points: 1200 });
    for (const t of times) line.add(t, 1, 1e6);
    return draw([line], 0, 200_000).holes;
  };
  const steps = Array.from({ length: 40 }, (_, i) => 1000 + 500 * i);
  expect(own(...steps, 27_000, 27_500, 70_000)).toEqual([
    { from: 27_500, to: 70_000 },
    { from: 70_000, to: 200_000 },
  ]);
  expect(own(1000), 'a single sample').toEqual([]);
  expect(own(1000, 1001, 1002, 1003, 1004), 'a burst').toEqual([]);
});

test('samples that are no numbers are told', () => {
  const l = line(1000, [
    [1000, 1],
    [2000, Number.NaN],
    [3000, 2],
  ]);
  expect(draw([l], 0, 3500)).toMatchObject({ odd: [2000], holes: [] });
});

test('lines of the same batches share their times', () => {
  const a = line(1000, [
    [1000, 1],
    [2000, 2],
  ]);
  const b = line(1000, [
    [1000, 3],
    [2000, 4],
  ]);
  expect(draw([a, b], 0, 2500)).toEqual({
    x: [1000, 2000],
    ys: [
      [1, 2],
      [3, 4],
    ],
    holes: [],
    odd: [],
  });
});

test('lines of other times are laid over each other, and none is broken by that', () => {
  const a = line(1000, [
    [1000, 1],
    [2000, 2],
  ]);
  const b = line(1000, [[1500, 3]]);
  expect(draw([a, b], 0, 2500)).toEqual({
    x: [1000, 1500, 2000],
    ys: [
      [1, undefined, 2],
      [undefined, 3, undefined],
    ],
    holes: [],
    odd: [],
  });
});

describe('a line is broken', () => {
  test('from its one sample to its other, though another line goes on between them', () => {
    const broken = line(1000, [
      [1000, 1],
      [9000, 2],
      [10_000, 3],
    ]);
    const whole = line(
      1000,
      Array.from({ length: 10 }, (_, i) => [1000 * (i + 1), 1]),
    );
    const { x, ys } = draw([broken, whole], 0, 10_000);
    expect(x[4]).toBe(5000);
    expect(ys[0]).toEqual([1, null, null, null, null, null, null, null, 2, 3]);
    expect(ys[1]).not.toContain(null);
  });

  test('where two samples are more than three intervals apart', () => {
    const together = draw(
      [
        line(1000, [
          [1000, 1],
          [4000, 2],
        ]),
      ],
      0,
      4000,
    );
    expect(together.ys).toEqual([[1, 2]]);
    const apart = draw(
      [
        line(1000, [
          [1000, 1],
          [4001, 2],
        ]),
      ],
      0,
      4001,
    );
    expect(apart.ys).toEqual([[1, null, 2]]);
    expect(apart.holes).toEqual([{ from: 1000, to: 4001 }]);
  });

  test('not while the interval is unknown', () => {
    expect(
      draw(
        [
          line(0, [
            [1000, 1],
            [90_000, 2],
          ]),
        ],
        0,
        90_000,
      ).ys,
    ).toEqual([[1, 2]]);
  });

  test('where a value cannot be drawn', () => {
    const { ys } = draw(
      [
        line(1000, [
          [1000, 1],
          [2000, Number.NaN],
          [3000, 3],
        ]),
      ],
      0,
      3000,
    );
    expect(ys).toEqual([[1, null, 3]]);
  });

  test('where the server declared a gap, and there is a hole', () => {
    const l = line(1000, [
      [1000, 1],
      [2000, 2],
      [3000, 3],
    ]);
    l.addGap({ from: 2000, to: 3000, reason: 'source_dropped' });
    const { ys, holes } = draw([l], 0, 3000);
    expect(ys).toEqual([[1, 2, null, 3]]);
    expect(holes).toEqual([{ from: 2000, to: 3000 }]);
  });

  test('not beside a gap whose ends are at samples', () => {
    const samples: [number, number][] = [
      [1000, 1],
      [2000, 2],
      [3000, 3],
      [4000, 4],
    ];
    const exact = line(1000, samples);
    exact.addGap({ from: 1999, to: 3001, reason: 'source_dropped' });
    expect(draw([exact], 0, 4000).ys).toEqual([[1, 2, null, 3, 4]]);
    const wider = line(1000, samples);
    wider.addGap({ from: 1998, to: 3002, reason: 'source_dropped' });
    expect(draw([wider], 0, 4000).ys).toEqual([[1, null, 2, null, 3, null, 4]]);
  });

  test('between columns when one that should have samples is empty', () => {
    const l = new Line({ __name__: 'load1', host: 'a' }, 1000, { window: 1e6, points: 1200 });
    const nan = Number.NaN;
    const ys = Float64Array.of(1, 1, 1, 1, nan, nan, nan, nan, 2, 2, 2, 2, 3, 3, 3, 3);
    l.addColumns({ kind: 'columns', ids: [0], x0: 0, step: 10_000, ys: [ys] }, 0, 40_000);
    const drawing = draw([l], 0, 40_000);
    expect(drawing.ys[0]).toEqual([1, 1, 1, 1, null, 2, 2, 2, 2, 3, 3, 3, 3]);
  });

  test('not between columns when samples are rarer than columns', () => {
    const l = new Line({}, 60_000, { window: 1e6, points: 1200 });
    const nan = Number.NaN;
    const ys = Float64Array.of(1, 1, 1, 1, nan, nan, nan, nan, 2, 2, 2, 2);
    l.addColumns({ kind: 'columns', ids: [0], x0: 0, step: 40_000, ys: [ys] }, 0, 120_000);
    expect(draw([l], 0, 120_000).ys[0]).toEqual([1, 1, 1, 1, 2, 2, 2, 2]);
  });
});

describe('a hole', () => {
  test('is where every line is broken, not where one is', () => {
    const broken = line(1000, [
      [1000, 1],
      [9000, 2],
    ]);
    const whole = line(
      1000,
      Array.from({ length: 9 }, (_, i) => [1000 * (i + 1), 1]),
    );
    expect(draw([broken, whole], 0, 9000).holes).toEqual([]);
    expect(draw([broken], 0, 9000).holes).toEqual([{ from: 1000, to: 9000 }]);
  });

  test('opens at the end when samples stop, after three seconds at the earliest', () => {
    const l = line(100, [
      [1000, 1],
      [1100, 1],
    ]);
    expect(draw([l], 0, 4100).holes).toEqual([]);
    expect(draw([l], 0, 4101).holes).toEqual([{ from: 1100, to: 4101 }]);
  });

  test('what has not arrived yet is no hole', () => {
    const l = line(100, [
      [1000, 1],
      [1100, 2],
      [9000, 3],
    ]);
    expect(draw([l], 0, 60_000, { from: 0, to: 9000 }).holes).toEqual([{ from: 1100, to: 9000 }]);
    expect(draw([l], 0, 60_000).holes).toEqual([
      { from: 1100, to: 9000 },
      { from: 9000, to: 60_000 },
    ]);
  });

  test('is not the time before the first sample: nothing was lost there', () => {
    expect(draw([line(1000, [[90_000, 1]])], 0, 90_000).holes).toEqual([]);
  });
});

test('the line enters from before the window and leaves past it, and no more than that is drawn', () => {
  const l = line(
    1000,
    Array.from({ length: 50 }, (_, i) => [1000 * i, i]),
  );
  expect(draw([l], 10_500, 12_500).x).toEqual([10_000, 11_000, 12_000, 13_000]);
});

test('values of columns stand at the quarters of their columns', () => {
  const l = new Line({ __name__: 'load1', host: 'a' }, 1000, { window: 1e6, points: 1200 });
  l.addColumns(
    { kind: 'columns', ids: [0], x0: 8000, step: 4000, ys: [Float64Array.of(1, 0, 9, 2)] },
    0,
    90_000,
  );
  const { x, ys } = draw([l], 0, 20_000);
  expect([x, ys[0]]).toEqual([
    [8000, 9000, 10_000, 11_000],
    [1, 0, 9, 2],
  ]);
});

test('nothing draws as nothing', () => {
  expect(draw([], 0, 1000)).toEqual({ x: [], ys: [], holes: [], odd: [] });
  expect(draw([line(1000, [])], 0, 1000)).toEqual({ x: [], ys: [[]], holes: [], odd: [] });
});
