import { expect, test } from 'vitest';
import { Line } from './line.ts';
import { overview, SPARK, sparkline } from './overview.ts';
import type { Labels } from './wire.ts';

const NOW = 1_700_000_000_000;
const FROM = NOW - 100_000;

function line(labels: Labels, value: (i: number) => number, until = NOW): Line {
  const made = new Line(labels, 1_000, { window: 100_000, points: 480 });
  for (let t = FROM; t <= until; t += 1_000) made.add(t, value((t - FROM) / 1_000), NOW);
  return made;
}

test('a host is told by its newest values, devices together', () => {
  const lines = [
    line({ __name__: 'cpu_usage_percent', cpu: 'total', host: 'web1' }, i => i),
    line({ __name__: 'memory_used_bytes', host: 'web1' }, () => 2 ** 30),
    line({ __name__: 'memory_total_bytes', host: 'web1' }, () => 2 ** 32),
    line({ __name__: 'disk_read_bytes_per_second', device: 'a', host: 'web1' }, () => 1e6),
    line({ __name__: 'disk_write_bytes_per_second', device: 'b', host: 'web1' }, () => 2e6),
  ];
  const [row] = overview(lines, [], FROM, NOW);
  expect(row!.silentSince).toBeNull();
  expect(row!.readings.map(({ title, value, of }) => `${title} ${value} ${of}`.trim())).toEqual([
    'CPU 100 %',
    'Memory 1.00 GiB of 4.00 GiB',
    'Load –',
    'Disk 3.00 MB/s',
    'Network –',
  ]);
});

test('hosts are in the order of their names, and silent ones say since when', () => {
  const cpu = (host: string, until?: number) =>
    line({ __name__: 'cpu_usage_percent', cpu: 'total', host }, () => 5, until);
  const rows = overview([cpu('web10'), cpu('web2', NOW - 30_000)], ['web2', 'gone'], FROM, NOW);
  expect(rows.map(({ host, silentSince }) => [host, silentSince])).toEqual([
    ['gone', Number.NEGATIVE_INFINITY],
    ['web2', NOW - 30_000],
    ['web10', null],
  ]);
});

test('a sparkline stays on its paper, and is broken where nobody measured', () => {
  const labels = { __name__: 'load1', host: 'a' };
  const whole = sparkline([line(labels, i => i % 7)], FROM, NOW, Number.NaN);
  expect(whole.match(/M/g)).toHaveLength(1);
  for (const [, x, y] of whole.matchAll(/[ML]([\d.]+) ([\d.]+)/g)) {
    expect(Number(x)).toBeLessThanOrEqual(SPARK.width);
    expect(Number(y)).toBeLessThanOrEqual(SPARK.height);
  }
  const broken = new Line(labels, 1_000, { window: 100_000, points: 480 });
  for (let i = 0; i < 100; i++) if (i < 30 || i > 60) broken.add(FROM + 1_000 * i, 1, NOW);
  expect(sparkline([broken], FROM, NOW, 2).match(/M/g)).toHaveLength(2);
  expect(sparkline([], FROM, NOW, 1)).toBe('');
});
