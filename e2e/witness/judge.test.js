// The judge can fail: each transcript here has one fault, and the first has none.

import assert from 'node:assert/strict';
import test from 'node:test';
import { Losses } from './losses.js';
import { Page } from './page.js';
import { request, snappy } from './remotewrite.js';
import { RootPage } from './root.js';
import { RULES } from './rules.js';
import { Selector } from './selector.js';
import { acceptable, Truth } from './truth.js';

const NOW = 1544608800000;
const L = /** @type {[string, string][]} */ ([
  ['__name__', 'm'],
  ['i', '0'],
]);
const DESCRIBED = [{ id: 0, labels: { __name__: 'm', i: '0' }, interval_ms: 1000 }];

/** Ten samples, one a second up to NOW, in order; acknowledged. */
function stage({ window = 100, points = 1200 } = {}) {
  const truth = new Truth();
  truth.find(L).ordered = true;
  for (let k = 9; k >= 0; k--) write(truth, NOW - k * 1000, k);
  /** @type {string[]} */
  const found = [];
  const page = new Page({
    selector: new Selector('m'),
    window,
    points,
    truth,
    report: (rule, detail) => {
      assert.ok(RULES[rule], `${rule} is not among the rules`);
      found.push(`${rule}: ${detail}`);
    },
    cause: reason => (reason === 'log_trimmed' ? undefined : 'no cause'),
  });
  return { truth, page, found };
}

/** @param {Truth} truth @param {number} t @param {number} v */
function write(truth, t, v, at = t) {
  truth.answer(truth.send([{ labels: L, t, v }], at), at + 5);
}

/** @param {number} from @param {number} to in seconds before NOW */
function block(from, to) {
  const x = [];
  const y = [];
  for (let k = from; k >= to; k--) {
    x.push(NOW - k * 1000);
    y.push(k);
  }
  return { ids: [0], x, y: [y] };
}

/** @param {Page} page */
function subscribed(page, since = '', fresh = false) {
  const { window, points } = page;
  page.subscribed({ ok: true, room: 'r-1', matched: 1, sent: 1 }, { since, window, points, at: NOW, fresh });
}

/** @param {Page} page @param {any} more */
function bootstrap(page, more = {}) {
  const message = {
    room: 'r-1',
    from: null,
    position: 'p1',
    now: NOW,
    series: DESCRIBED,
    reason: 'join',
    ...more,
  };
  page.bootstrap({ blocks: [block(9, 0)], ...message }, 'a', NOW + 10);
}

/** @param {Page} page @param {any} more */
function update(page, more = {}) {
  page.update({ room: 'r-1', position: 'p2', now: NOW + 20, blocks: [], ...more }, 'a', NOW + 20);
}

/** @param {string[]} found @param {string} rule @param {RegExp} [text] */
function violated(found, rule, text = /./) {
  assert.equal(found.length, 1, found.join('\n') || 'nothing was found');
  assert.ok(found[0].startsWith(`${rule}: `), found[0]);
  assert.match(found[0], text);
}

/** @param {Page} page */
const lacks = page => page.judge(200, NOW + 30).lacks.map(l => `${l.rule} ${NOW - l.t}`);

test('a transcript without a fault', () => {
  const { truth, page, found } = stage();
  subscribed(page);
  bootstrap(page, { blocks: [block(9, 5)], more: true, position: undefined });
  bootstrap(page, { blocks: [block(4, 1)], series: undefined });
  update(page, { blocks: [block(0, 0)] });
  update(page, { blocks: [block(1, 0)] }); // "An update may repeat samples that the client has"
  write(truth, NOW - 500, 77, NOW + 1);
  truth.find(L).ordered = false;
  update(page, { blocks: [{ ids: [0], x: [NOW - 500], y: [[77]] }], position: 'p3' });
  page.disconnected();
  subscribed(page, 'p3', true);
  page.bootstrap(
    { room: 'r-1', from: 'p3', position: 'p3', now: NOW, series: DESCRIBED, blocks: [], reason: 'resume' },
    'b',
    NOW + 25,
  );
  assert.deepEqual(found, []);
  assert.deepEqual(lacks(page), []);
  assert.equal(page.judge(200, NOW + 30).compared, 11);
});

test('a sample is missing, and a gap covers what lies between its ends only', () => {
  const { page, found } = stage();
  subscribed(page);
  bootstrap(page, { blocks: [block(9, 4), block(1, 0)] });
  assert.deepEqual(lacks(page), ['missing 3000', 'missing 2000']);
  page.gap({ room: 'r-1', ids: [0], from: NOW - 3000, to: NOW - 1000, reason: 'log_trimmed' }, 'a');
  assert.deepEqual(lacks(page), ['missing 3000']);
  page.gap({ room: 'r-1', ids: [0], from: NOW - 4000, to: NOW - 2000, reason: 'log_trimmed' }, 'a');
  assert.deepEqual(lacks(page), []);
  assert.deepEqual(found, []);
  page.gap({ room: 'r-1', ids: [0], from: NOW - 4000, to: NOW - 2000, reason: 'log_lost' }, 'a');
  violated(found, 'gap', /no cause/);
});

test('what a bootstrap replaces is gone, its gaps too', () => {
  const { page, found } = stage();
  subscribed(page);
  bootstrap(page);
  page.gap({ room: 'r-1', ids: [0], from: NOW - 9500, to: NOW, reason: 'log_trimmed' }, 'a');
  bootstrap(page, { reason: 'slow', blocks: [block(9, 1)] });
  assert.deepEqual(lacks(page), ['missing 0']);
  assert.deepEqual(found, []);
});

/** @type {[string, string, RegExp, (s: ReturnType<typeof stage>) => void][]} */
const FAULTS = [
  [
    'a second value',
    'value',
    /666 instead of 0/,
    ({ truth, page }) => {
      write(truth, NOW, 666, NOW + 6);
      bootstrap(page, { blocks: [block(9, 1), { ids: [0], x: [NOW], y: [[666]] }] });
    },
  ],
  [
    'a value changes',
    'value',
    /was 1 and is 2/,
    ({ truth, page }) => {
      truth.send([{ labels: L, t: NOW + 1, v: 1 }], NOW);
      truth.send([{ labels: L, t: NOW + 1, v: 2 }], NOW);
      bootstrap(page);
      update(page, { blocks: [{ ids: [0], x: [NOW + 1], y: [[1]] }] });
      const s = truth.find(L).at(NOW + 1);
      delete s?.pin;
      update(page, { blocks: [{ ids: [0], x: [NOW + 1], y: [[2]] }] });
    },
  ],
  [
    'null for a number',
    'invented',
    /null instead of 0/,
    ({ page }) => bootstrap(page, { blocks: [block(9, 1), { ids: [0], x: [NOW], y: [[null]] }] }),
  ],
  [
    'a sample that nobody wrote',
    'invented',
    /at this time/,
    ({ page }) => bootstrap(page, { blocks: [block(9, 0), { ids: [0], x: [NOW + 7], y: [[1]] }] }),
  ],
  [
    'a sample that was refused',
    'invented',
    /refused/,
    ({ truth, page }) => {
      write(truth, NOW + 90_000, 5, NOW);
      bootstrap(page);
      update(page, { blocks: [{ ids: [0], x: [NOW + 90_000], y: [[5]] }] });
    },
  ],
  [
    'out of order',
    'order',
    /comes behind/,
    ({ page }) => {
      bootstrap(page, { blocks: [block(9, 3)] });
      update(page, { blocks: [block(0, 0)] });
      update(page, { blocks: [block(2, 1)] });
      page.judge(200, NOW + 120_000);
    },
  ],
  [
    'x does not ascend',
    'block',
    /ascend/,
    ({ page }) => bootstrap(page, { blocks: [{ ids: [0], x: [NOW, NOW - 1000], y: [[0, 1]] }] }),
  ],
  [
    'values are too few',
    'block',
    /values of/,
    ({ page }) => bootstrap(page, { blocks: [{ ids: [0], x: [NOW - 1000, NOW], y: [[1]] }] }),
  ],
  [
    'an unknown id',
    'ids',
    /not described/,
    ({ page }) => bootstrap(page, { blocks: [{ ids: [3], x: [NOW], y: [[1]] }] }),
  ],
  [
    'an id with two meanings',
    'ids',
    /is .* and /,
    ({ page }) => {
      bootstrap(page);
      update(page, { series: [{ id: 0, labels: { __name__: 'm', i: '1' }, interval_ms: 0 }] });
    },
  ],
  ['a position in a part', 'parts', /not the last/, ({ page }) => bootstrap(page, { more: true })],
  [
    'parts overlap',
    'parts',
    /begins at/,
    ({ page }) => {
      bootstrap(page, { blocks: [block(9, 5)], more: true, position: undefined });
      bootstrap(page, { blocks: [block(5, 0)], series: undefined });
    },
  ],
  [
    'an update between parts',
    'position',
    /between two parts/,
    ({ page }) => {
      bootstrap(page, { blocks: [block(9, 5)], more: true, position: undefined });
      update(page);
    },
  ],
  ['an update before the bootstrap', 'position', /before the first/, ({ page }) => update(page)],
  [
    'gone too early',
    'gone',
    /has a sample/,
    ({ page }) => {
      bootstrap(page);
      update(page, { gone: [0] });
    },
  ],
  [
    'more values than points',
    'points',
    /10 raw values/,
    s => {
      s.page.asked[0].points = 8;
      bootstrap(s.page);
    },
  ],
  [
    'columns although the samples fit',
    'points',
    /fit into/,
    ({ page }) =>
      bootstrap(page, { blocks: [{ ids: [0], x0: NOW - 20_000, step: 20_000, y: [[9, 1, 9, 1]] }] }),
  ],
  [
    'lost without a reason',
    'reason',
    /seconds old/,
    ({ page }) => {
      page.asked[0] = { ...page.asked[0], since: 'p0', fresh: true };
      bootstrap(page, { reason: 'lost' });
    },
  ],
  ['resume without since', 'reason', /no since/, ({ page }) => bootstrap(page, { reason: 'resume' })],
  ['a clock of tomorrow', 'now', /now/, ({ page }) => bootstrap(page, { now: NOW + 86_400_000 })],
  [
    'stale without being so',
    'status',
    /stale/,
    ({ page }) => {
      bootstrap(page);
      page.setStatus({ room: 'r-1', state: 'stale', since: NOW }, true, NOW + 1600);
      assert.equal(page.rest(NOW + 2000), false);
      page.rest(NOW + 5000);
    },
  ],
  [
    'another room for the same selector',
    'room',
    /before/,
    ({ page }) => {
      bootstrap(page);
      page.subscribed(
        { ok: true, room: 'r-2', matched: 1, sent: 1 },
        { since: '', window: 100, points: 8, at: NOW, fresh: false },
      );
    },
  ],
];

for (const [name, rule, text, play] of FAULTS) {
  test(name, () => {
    const s = stage();
    subscribed(s.page);
    play(s);
    violated(s.found, rule, text);
  });
}

test('columns', () => {
  const start = NOW - (NOW % 20_000);
  // Of the ten samples those from `start` on are in the column; which they are depends on NOW.
  assert.equal(start, NOW);
  const x0 = NOW - 20_000;
  for (const [values, rule, text] of /** @type {[any, string, RegExp][]} */ ([
    [[9, 1, 9, 1], '', /./],
    [[9, 3, 9, 1], 'columns', /not between/],
    [[9, 1, 8, 1], 'columns', /not between/],
    [[9, 0.5, 9, 1], 'columns', /is none of/],
    [[9, 1, 9, null], 'columns', /one value is null/],
    [[8, 1, 9, 1], 'columns missing', /first is not at/],
    [[9, 1, 9, 2], 'columns missing', /last is not at/],
    [[8, 1, 8, 1], 'columns missing', /maximum should be/],
    [[9, 2, 9, 2], 'columns missing', /minimum should be/],
    [[null, null, null, null], 'columns missing', /empty/],
  ])) {
    const { page, found } = stage({ points: 8 });
    subscribed(page);
    bootstrap(page, { blocks: [{ ids: [0], x0, step: 20_000, y: [values] }, block(0, 0)] });
    const after = page.judge(200, NOW + 30).lacks;
    if (rule === 'columns') violated(found, rule, text);
    else assert.deepEqual(found, []);
    if (rule === 'columns missing') {
      assert.equal(after.length, 1);
      assert.match(after[0].what, text);
    }
    if (rule === '') {
      update(page, { blocks: [block(9, 5)] }); // what is sent again after a loss of the log lies in the column
      assert.deepEqual(page.judge(200, NOW + 120_000).lacks, []);
      assert.deepEqual(found, []);
    }
  }
});

test('namespace /', () => {
  const { truth, found } = stage();
  const page = new RootPage({
    series: truth.find(L),
    window: 100,
    offset: 0,
    report: (rule, detail) => found.push(`${rule}: ${detail}`),
  });
  page.ready = true;
  page.bootstrap({ x: ['2018-12-12 09:59:58'], y: [2] }, 'a');
  page.update({ x: ['2018-12-12 10:00:00'], y: [0] }, 'a');
  assert.deepEqual(found, []);
  assert.equal(page.lacks(NOW + 30).length, 8);
  page.gap({ from: '2018-12-12 09:59:55', to: '2018-12-12 09:59:58', reason: 'log_trimmed' });
  assert.equal(page.lacks(NOW + 30).length, 6);
  assert.deepEqual(found, []);
  page.update({ x: ['2018-12-12 09:59:59'], y: [1] }, 'a');
  violated(found, 'root', /not newer/);
});

test('what is acceptable', () => {
  const day = 86_400_000;
  assert.equal(acceptable(NOW + 59_000, NOW, NOW + 10), 'yes');
  assert.equal(acceptable(NOW + 61_000, NOW, NOW + 10), 'no');
  assert.equal(acceptable(NOW + 60_000, NOW, NOW + 10), 'either');
  assert.equal(acceptable(NOW - day + 1000, NOW, NOW + 10), 'yes');
  assert.equal(acceptable(NOW - day - 1000, NOW, NOW + 10), 'no');
});

test('the body of docs/HTTP.md', () => {
  const body = request([
    {
      labels: [
        ['__name__', 'room_celsius'],
        ['room', 'lab'],
      ],
      samples: [{ t: 1, v: 21.5 }],
    },
  ]);
  const hex = Buffer.from(snappy(body)).toString('hex');
  const symbols = ['', '__name__', 'room_celsius', 'room', 'lab']
    .map(s => `22${Buffer.from([s.length]).toString('hex')}${Buffer.from(s).toString('hex')}`)
    .join('');
  const rest = `${symbols}2a130a0401020304120b0900000000008035401001`;
  assert.equal(hex, `${(rest.length / 2).toString(16)}f4${(rest.length / 2 - 1).toString(16)}00${rest}`);
});

test('what was lost with the log may be missing until it has been judged, and what only the lost part had for good', () => {
  let now = NOW;
  const { truth } = stage();
  const losses = new Losses(truth, () => now);
  const server = /** @type {any} */ ({ name: 'a', backSince: 0 });
  const series = truth.find(L); // acknowledged from NOW - 9000 to NOW
  const loss = losses.begin(server, 'log_lost', NOW - 3000);
  now = loss.to = NOW + 1000;
  assert.equal(losses.excuse('a', series, NOW - 2000), true);
  assert.equal(losses.excuse('b', series, NOW - 2000), false);
  assert.equal(losses.excuse('a', series, NOW - 4000), false);
  now = server.backSince = NOW + 10_000;
  assert.equal(losses.excuse('a', series, NOW - 2000), true);
  now += 21_500;
  assert.equal(losses.excuse('a', series, NOW - 2000), false);
  assert.equal(losses.judging(), true); // perhaps of a series that is written less often
  now += 60_000;
  assert.equal(losses.judging(), false);
  server.backSince = now;
  assert.equal(losses.judging(), false); // it is over
  loss.from = NOW - 10_000;
  assert.equal(losses.excuse('a', series, NOW - 2000), true); // it began and ended there
  // Later than any before it: nobody can have known.
  loss.from = NOW + 500;
  for (const [late, excused] of /** @type {const} */ ([
    [5000, true],
    [4000, false],
  ])) {
    if (late === 4000) truth.lates.push({ by: '', late: 4500, at: NOW });
    write(truth, NOW - late + 1, 7, NOW + 600);
    const sample = truth.find(L).at(NOW - late + 1);
    assert.ok(sample);
    assert.equal(losses.later('a', sample), excused);
  }
});
