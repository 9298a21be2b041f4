import { describe, expect, test } from 'vitest';
import { type ChartFacts, chartState, condition, type Facts, isStale } from './condition.ts';
import { formatTime } from './format.ts';

const NOW = 1_544_608_800_000;
const live: Facts = {
  connection: { kind: 'open' },
  joined: true,
  newest: NOW - 800,
  interval: 1000,
  notStored: false,
  now: NOW,
};

test.each<[string, Partial<Facts>, string, string]>([
  ['live', {}, 'live', 'newest sample 0.8 s ago'],
  ['before the connection', { connection: { kind: 'connecting' } }, 'connecting…', ''],
  ['before the history', { joined: false }, 'connecting…', ''],
  ['without history', { newest: Number.NEGATIVE_INFINITY }, 'waiting for the first sample', ''],
  ['stale', { newest: NOW - 12_000 }, 'stale', `since ${formatTime(NOW - 12_000)}`],
  [
    'connection lost',
    { connection: { kind: 'lost' }, newest: NOW - 5000 },
    'reconnecting…',
    'newest sample 5.0 s ago',
  ],
  ['planned stop', { connection: { kind: 'restarting' } }, 'server is restarting', 'newest sample 0.8 s ago'],
  [
    'disk full',
    { notStored: true },
    'live, not recorded',
    'the server’s disk is full · newest sample 0.8 s ago',
  ],
  ['refused', { connection: { kind: 'refused', message: 'log in first' } }, 'refused', 'log in first'],
  [
    'newer server',
    { connection: { kind: 'outdated' } },
    'page is outdated',
    'reload it to get the one of this server',
  ],
  ['a source whose clock is ahead', { newest: NOW + 400 }, 'live', 'newest sample 0.0 s ago'],
])('%s', (_name, facts, title, detail) => {
  expect(condition({ ...live, ...facts })).toMatchObject({ title, detail });
});

test('the title stands still while the state does: it is what screen readers announce', () => {
  const titles = [0, 900, 2_900].map(age => condition({ ...live, newest: NOW - age }).title);
  expect(new Set(titles).size).toBe(1);
});

test('stale is later than three intervals, three seconds at least', () => {
  expect([isStale(3_000, 1_000), isStale(3_001, 1_000)]).toEqual([false, true]);
  expect([isStale(3_000, 50), isStale(3_001, 50)]).toEqual([false, true]);
  expect([isStale(30_000, 10_000), isStale(30_001, 10_000)]).toEqual([false, true]);
});

describe('a chart', () => {
  const at = (age: number) => `stale since ${formatTime(NOW - age)}`;
  const chart: ChartFacts = { state: 'live', since: 0, newest: NOW - 800, interval: 1000 };

  test.each<[string, Partial<ChartFacts>, string]>([
    ['live', {}, ''],
    ['without history', { newest: Number.NEGATIVE_INFINITY, state: 'stale' }, ''],
    ['stale as the server says', { state: 'stale', since: NOW - 5000, newest: NOW - 900 }, at(5000)],
    ['stale though the server says nothing', { newest: NOW - 4000 }, at(4000)],
    ['rarely measured', { newest: NOW - 29_000, interval: 10_000 }, ''],
    [
      'measured for the first time',
      { newest: NOW - 9000, interval: 0, state: 'stale', since: NOW - 9000 },
      '',
    ],
    ['never measured again', { newest: NOW - 31_000, interval: 0 }, at(31_000)],
    ['disk full', { state: 'not_stored' }, 'shown, not recorded: the server’s disk is full'],
    ['stale and the disk full', { state: 'not_stored', newest: NOW - 4000 }, at(4000)],
  ])('%s', (_name, facts, text) => {
    expect(chartState({ ...chart, ...facts }, NOW)).toBe(text);
  });
});
