import { expect, test } from 'vitest';
import { condition, type Facts, isStale } from './condition.ts';

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
  ['stale', { newest: NOW - 12_000 }, 'stale', 'since 12 s'],
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
