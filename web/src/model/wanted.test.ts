import { expect, test } from 'vitest';
import { STANDARD } from './panels.ts';
import { compile, parseSelector } from './selector.ts';
import { wantedSeries } from './wanted.ts';

const wants = (queries: readonly string[], labels: Record<string, string>) =>
  queries.some(query => compile(parseSelector(query)!)(labels));

test('what comes by itself is asked for, and of a machine only what tells of it', () => {
  const queries = wantedSeries(STANDARD);
  for (const labels of [
    { __name__: 'room_celsius' },
    { __name__: 'train_loss', host: 'gpu1' },
    { __name__: 'temperature_celsius', room: 'lab' },
    { __name__: 'load1', host: 'web1' },
    { __name__: 'disk_busy_percent', host: 'web1', device: 'sda' },
  ])
    expect(wants(queries, labels)).toBe(true);
  expect(wants(queries, { __name__: 'filesystem_size_bytes', host: 'web1' })).toBe(false);
  expect(wants(queries, { __name__: 'cpu_usage_percent', host: 'web1', cpu: '7' })).toBe(false);
});

test('a card that is no selector may name any metric', () => {
  const [card] = STANDARD;
  expect(wantedSeries([{ ...card!, query: 'http.requests' }])).toEqual([]);
});

test('a view whose charts are chosen asks which machines there are, and nothing else', () => {
  const [card] = STANDARD.filter(({ query }) => query === '.cpu');
  const queries = wantedSeries([card!]);
  expect(wants(queries, { __name__: 'load1', host: 'web1' })).toBe(true);
  expect(wants(queries, { __name__: 'room_celsius' })).toBe(false);
});
