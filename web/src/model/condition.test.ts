import { describe, expect, test } from 'vitest';
import { type ChartFacts, chartState, condition, type Facts, told } from './condition.ts';
import { formatTime } from './format.ts';

const NOW = 1_544_608_800_000;
const live: Facts = {
  connection: { kind: 'open' },
  joined: true,
  newest: NOW - 800,
  interval: 1000,
  patience: 3000,
  lostSince: null,
  refused: false,
  hosts: 3,
  silent: 0,
  notStored: false,
  now: NOW,
};

test.each<[string, Partial<Facts>, string, string]>([
  ['live', {}, 'live', ''],
  ['one of several hosts silent', { silent: 1 }, 'live', '1 of 3 hosts silent'],
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
  ['disk full', { notStored: true }, 'live, not recorded', 'the server’s disk is full'],
  [
    'connection lost for long',
    { connection: { kind: 'lost' }, lostSince: NOW - 62_000 },
    'no server',
    `since ${formatTime(NOW - 62_000)} · tried again every few seconds`,
  ],
  [
    'a server that does not come back from its planned stop',
    { connection: { kind: 'restarting' }, lostSince: NOW - 11_000 },
    'no server',
    `since ${formatTime(NOW - 11_000)} · tried again every few seconds`,
  ],
  [
    'a server that was never there',
    { connection: { kind: 'connecting' }, lostSince: NOW - 11_000 },
    'no server',
    `since ${formatTime(NOW - 11_000)} · tried again every few seconds`,
  ],
  [
    'every chart refused',
    { joined: false, refused: true },
    'nothing to show',
    'the server refused every chart of this page',
  ],
  [
    'a pause of what has no rhythm',
    { newest: NOW - 12_000, patience: Number.POSITIVE_INFINITY },
    'live',
    'newest sample 12 s ago',
  ],
  ['refused', { connection: { kind: 'refused', message: 'log in first' } }, 'refused', 'log in first'],
  [
    'newer server',
    { connection: { kind: 'outdated' } },
    'page is outdated',
    'reload it to get the one of this server',
  ],
  ['a source whose clock is ahead', { newest: NOW + 400 }, 'live', ''],
])('%s', (_name, facts, title, detail) => {
  expect(condition({ ...live, ...facts })).toMatchObject({ title, detail });
});

test('the title stands still while the state does: it is what screen readers announce', () => {
  const titles = [0, 900, 2_900].map(age => condition({ ...live, newest: NOW - age }).title);
  expect(new Set(titles).size).toBe(1);
});

describe('a chart', () => {
  const at = (age: number) => `stale since ${formatTime(NOW - age)}`;
  const chart: ChartFacts = {
    state: 'live',
    since: 0,
    newest: NOW - 800,
    interval: 1000,
    patience: 3000,
    steady: true,
  };
  const own = { steady: false, state: 'stale', patience: 30_000 } as const;
  const unknown = { ...own, patience: Number.POSITIVE_INFINITY };

  test.each<[string, Partial<ChartFacts>, string]>([
    ['live', {}, ''],
    ['without history', { newest: Number.NEGATIVE_INFINITY, state: 'stale' }, ''],
    ['stale as the server says', { state: 'stale', since: NOW - 5000, newest: NOW - 900 }, at(5000)],
    ['stale though the server says nothing', { newest: NOW - 4000 }, at(4000)],
    ['rarely measured', { newest: NOW - 29_000, interval: 10_000, patience: 30_000 }, ''],
    [
      'measured for the first time',
      { newest: NOW - 9000, interval: 0, patience: 30_000, state: 'stale', since: NOW - 9000 },
      '',
    ],
    ['never measured again', { newest: NOW - 31_000, interval: 0, patience: 30_000 }, at(31_000)],
    ['a pause of what promised nothing', { ...own, newest: NOW - 25_000 }, ''],
    ['a long silence of what had a rhythm', { ...own, newest: NOW - 31_000 }, at(31_000)],
    ['a sample of a while ago without a rhythm', { ...unknown, newest: NOW - 9_000 }, ''],
    [
      'an old sample without a rhythm, which is no fault',
      { ...unknown, newest: NOW - 90_000 },
      `last sample ${formatTime(NOW - 90_000)}`,
    ],
    ['disk full', { state: 'not_stored' }, 'shown, not recorded: the server’s disk is full'],
    ['stale and the disk full', { state: 'not_stored', newest: NOW - 4000 }, at(4000)],
  ])('%s', (_name, facts, text) => {
    const { text: said, fault } = chartState({ ...chart, ...facts }, NOW);
    expect([said, fault]).toEqual([text, /stale|disk/.test(text)]);
  });
});

test('nothing is said to be live while the charts stand still, and faults are told nevertheless', () => {
  expect(told(condition(live), false)).toMatchObject({ kind: 'live', title: 'live' });
  expect(told(condition(live), true)).toMatchObject({ kind: 'past', title: 'paused' });
  expect(told(condition({ ...live, newest: NOW - 12_000 }), true)).toMatchObject({ kind: 'stale' });
});
