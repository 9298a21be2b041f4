// The witness: writes to real servers, watches them with the official client, does harm to them, and judges what
// pages hold against what was acknowledged. It knows the program from docs/PROTOCOL.md and docs/HTTP.md only; the
// rules and their sentences are in rules.js.
//
//   node e2e/witness/main.js --binary bin/stripchart --mode memory|redis --for 30m --seed 1
//     [--only part of a fault's name] [--skip faults] [--without kinds,of,writes] [--tolerate rules] [--keep]
//     [--verbose]
//
// With --lie viewers lose an update now and then, so that the run has to fail. Status 1: something was not as
// documented.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { FAULTS } from './faults.js';
import { Losses } from './losses.js';
import { Page, short } from './page.js';
import { Random } from './random.js';
import { RootPage } from './root.js';
import { RULES } from './rules.js';
import { Selector } from './selector.js';
import { Stage } from './stage.js';
import { candidates, canonical, compareLabels, keyOfObject, Truth } from './truth.js';
import { sleep, Viewer } from './viewer.js';
import { backlog, Gate, labels, startWriters } from './writers.js';

const LIMIT = 200;
const ROOT_WINDOW = 40;

const { values: options } = parseArgs({
  options: {
    binary: { type: 'string', default: 'bin/stripchart' },
    mode: { type: 'string', default: 'memory' },
    for: { type: 'string', default: '1m' },
    seed: { type: 'string', default: '0' },
    only: { type: 'string', default: '' },
    skip: { type: 'string', default: '' },
    without: { type: 'string', default: '' },
    tolerate: { type: 'string', default: '' },
    port: { type: 'string', default: '21000' },
    keep: { type: 'boolean', default: false },
    lie: { type: 'boolean', default: false },
    verbose: { type: 'boolean', default: false },
  },
});

/** @param {string} text */
function duration(text) {
  const match = /^(\d+(?:\.\d+)?)(s|m|h)?$/.exec(text);
  if (!match) throw new Error(`--for ${text}: write 30s, 10m or 2h`);
  return Number(match[1]) * { s: 1000, m: 60_000, h: 3600_000 }[/** @type {'s'} */ (match[2] ?? 's')];
}

const seed = Number(options.seed) || (Date.now() % 1e6) + 1;
const random = new Random(seed);
const begin = Date.now();
const until = begin + duration(options.for);
const dir = mkdtempSync(join(tmpdir(), 'stripchart-witness-'));
const truth = new Truth();
const gate = new Gate();

/** @type {Map<string, { count: number, examples: string[], kinds: Set<string> }>} */
const violations = new Map();
/** @type {Map<string, number>} */
const open = new Map();
/** @type {Map<string, number>} */
const faultCounts = new Map();
let comparisons = 0;
let round = 0;
let fault = 'none yet';
let lastHarm = Date.now();
let harm = 0;

const clock = () => `${((Date.now() - begin) / 1000).toFixed(1)}s`;
/** @param {string} text */
const say = text => {
  if (options.verbose) console.log(`${clock()} ${text}`);
};

const stage = new Stage({
  binary: resolve(options.binary),
  mode: options.mode,
  dir,
  window: ROOT_WINDOW,
  defaultSeries: 'witness_default',
  options: [
    ...(options.mode === 'redis' ? ['--bus-bytes', '1M'] : []),
    // Mostly little fits into the queue of a page that does not read.
    ...(seed % 4 > 0 ? ['--max-output', '16k', '--compress-from', '0'] : []),
  ],
});

/** Reasons for gaps that there have been, by server. @type {Map<string, Set<string>>} */
const causes = new Map();

const world = {
  truth,
  stage,
  gate,
  random,
  limit: LIMIT,
  lie: options.lie,
  say,
  /** Parts of what is written that are left out, to see behind what is known. */
  without: options.without.split(',').filter(Boolean),
  /** @param {string} rule @param {string} where @param {string} detail @param {string[]} [log] */
  violation(rule, where, detail, log = []) {
    let found = violations.get(rule);
    if (!found) {
      found = { count: 0, examples: [], kinds: new Set() };
      violations.set(rule, found);
    }
    found.count++;
    const text = `${clock()} round ${round}, fault ${fault}; ${where}: ${detail}`;
    if (options.verbose && found.count <= 50) console.log(`VIOLATION ${rule} ${text}`);
    // Examples of different kinds: of other series, at other places.
    const kind = `${rule} ${where.replace(/\d+/g, '')} ${/"__name__","(\w+)"/.exec(detail)?.[1] ?? ''}`;
    if (found.examples.length < 8 && !found.kinds.has(kind)) {
      found.kinds.add(kind);
      found.examples.push([text, ...log.map(l => `    ${l}`)].join('\n'));
    }
  },
  /** @param {string} text */
  open(text) {
    open.set(text, (open.get(text) ?? 0) + 1);
  },
  /** @param {string} server @param {string} reason */
  harmed(server, reason) {
    let set = causes.get(server);
    if (!set) {
      set = new Set();
      causes.set(server, set);
    }
    set.add(reason);
  },
  /** @param {string} server @param {string} reason @param {string[]} keys */
  gapCause(server, reason, keys) {
    const known = causes.get(server);
    if (known?.has(reason)) return undefined;
    // Numbers that were lost with the log are missing from their sources, too.
    if (reason === 'source_dropped' && known && known.size > 0) return undefined;
    if (reason === 'source_dropped' && keys.every(key => key.includes('"gappy"'))) return undefined;
    return `nothing was lost that could be ${reason}`;
  },
  losses: new Losses(truth),
  calm: () => harm === 0 && Date.now() - lastHarm > 3000,
  /** @type {Viewer[]} */
  viewers: [],
};

const anything = new Selector('', [
  ['=~', '__name__', '.+'],
  ['!=', '__name__', 'flood'],
]);
const SELECTORS = [
  new Selector('even'),
  new Selector('even', [['=', 'side', 'left']]),
  new Selector('', [['=~', '__name__', 'even|gappy|root']]),
  new Selector('fast'),
  new Selector('fast', [['!=', 'i', '0']]),
  new Selector('gappy'),
  new Selector('late'),
  new Selector('spooled'),
  new Selector('edge'),
  new Selector('second'),
  new Selector('', [['=~', '__name__', 'odd.*']]),
  new Selector('odd', [['=', 'text', 'new\nline']]),
  new Selector('odd', [
    ['=', 'nothing', ''],
    ['=', 'kind', 'empty'],
  ]),
  new Selector('seldom'),
  new Selector('crowd'),
  new Selector('crowd', [['=~', 'n', '0[0-4].']]),
  new Selector('crowd', [
    ['!~', 'n', '22.'],
    ['!=', 'n', ''],
  ]),
  new Selector('churn'),
  new Selector('dense'),
  new Selector('', [['=', 'i', '1']]),
  new Selector('nobody_writes_this'),
  anything,
];
const WINDOWS = [6, 15, 20.5, 45, 100, 100, 300, 900, 3600];
const POINTS = [8, 40, 202, 1200, 1200, 5000, 20000];

/** What the documents say of requests, without any fault. */
async function manners() {
  const viewer = new Viewer(world, 'manners', random.fork('manners'), { transports: ['websocket'] });
  viewer.deaf = true;
  await viewer.connect(stage.servers[0]);
  await waitFor(() => viewer.greeted, 10_000);
  /** @param {string} event @param {unknown} arg @param {string} code */
  const refused = async (event, arg, code) => {
    const answer = await viewer.request(event, arg);
    if (code === 'bad_request' && answer?.error?.code === 'bad_query') {
      world.open('a query of more than 4,096 bytes is bad_query; "outside its bounds" is bad_request');
      return;
    }
    if (answer?.ok !== false || answer.error?.code !== code || typeof answer.error?.message !== 'string') {
      world.violation('answer', 'manners', `${event} ${short(arg)} should be ${code}: ${short(answer)}`);
    }
  };
  await refused('subscribe', 'even', 'bad_request');
  await refused('subscribe', { query: 7 }, 'bad_request');
  await refused('subscribe', { query: 'even', window: 0.5 }, 'bad_request');
  await refused('subscribe', { query: 'even', window: 2592001 }, 'bad_request');
  await refused('subscribe', { query: 'even', points: 7 }, 'bad_request');
  await refused('subscribe', { query: 'even', points: 20001 }, 'bad_request');
  await refused('subscribe', { query: `even{a="${'x'.repeat(4096)}"}` }, 'bad_request');
  await refused('subscribe', { query: 'even{' }, 'bad_query');
  await refused('subscribe', { query: 'rate(even[5m])' }, 'unsupported_query');
  await refused('subscribe', { query: 'even[5m]' }, 'unsupported_query');
  await refused('subscribe', { query: 'even offset 5m' }, 'unsupported_query');
  await refused('subscribe', { query: 'even @ 0' }, 'unsupported_query');
  await refused('subscribe', { query: '1' }, 'unsupported_query');
  await refused('history', { query: 'even', from: 'x', to: 1 }, 'bad_request');
  await refused('frobnicate', {}, 'unknown_event');
  for (let i = 0; i < 32; i++) {
    const answer = await viewer.request('subscribe', { query: `room_${i}` });
    if (answer?.ok !== true || answer.matched !== 0 || answer.sent !== 0)
      world.violation('answer', 'manners', `room ${i}: ${short(answer)}`);
    if (i % 8 === 7) await sleep(250);
  }
  await refused('subscribe', { query: 'room_32' }, 'too_many_rooms');
  viewer.leave();
}

/** @param {() => boolean} done @param {number} patience */
async function waitFor(done, patience) {
  const end = Date.now() + patience;
  while (!done()) {
    if (Date.now() > end) return false;
    await sleep(30);
  }
  return true;
}

/** @param {number} count */
async function createViewers(count) {
  const transports = [
    ['websocket'],
    ['websocket'],
    ['polling'],
    ['polling', 'websocket'],
    ['websocket'],
    ['websocket'],
  ];
  for (let i = 0; i < count; i++) {
    const name = `v${i}`;
    const root =
      i % 3 === 0
        ? new RootPage({
            series: truth.find(labels('witness_default', { kind: 'root' })),
            window: ROOT_WINDOW,
            offset: stage.offset,
            report: (rule, detail) => world.violation(rule, name, detail),
            excuse: (server, acknowledged) =>
              world.losses.excuse(
                server,
                truth.find(labels('witness_default', { kind: 'root' })),
                acknowledged,
              ),
          })
        : undefined;
    const viewer = new Viewer(world, name, random.fork(name), {
      transports: transports[i % transports.length],
      root,
    });
    world.viewers.push(viewer);
    await viewer.connect(random.pick(stage.servers));
    if (i === 0) viewer.catalogueMatch = [anything.text];
    const rooms = random.shuffled(SELECTORS).slice(0, random.int(3, 5));
    // Some page or other watches everything.
    for (let k = i; k < SELECTORS.length; k += count)
      if (!rooms.includes(SELECTORS[k])) rooms.push(SELECTORS[k]);
    for (const s of rooms) {
      // A bootstrap in several parts.
      const dense = s.name === 'dense';
      await viewer.join(s, dense ? 3600 : random.pick(WINDOWS), dense ? 20000 : random.pick(POINTS));
    }
  }
}

/** Something that viewers do. @param {Viewer} v */
async function act(v) {
  const r = v.random;
  const page = v.pages.size > 0 ? r.pick([...v.pages.values()]) : undefined;
  switch (r.int(0, 12)) {
    case 0:
    case 1: // Cut off, and back, here or elsewhere, with since.
      await v.connect(stage.other(v.server, r));
      return;
    case 2:
      await v.connect(v.server);
      return;
    case 3: // Away for a while.
      v.leave();
      await sleep(r.int(100, 2500));
      await v.connect(r.pick(stage.servers));
      return;
    case 4:
      if (page) {
        await v.unsubscribe(page, false);
        await sleep(r.int(0, 800));
        if (v.pages.get(page.selector.text) === page && v.rooms.get(page.room) !== page)
          await v.subscribe(page, {});
      }
      return;
    case 5:
      if (page && v.pages.size > 2) await v.unsubscribe(page, true);
      return;
    case 6:
    case 7:
      if (v.pages.size < 8) await v.join(r.pick(SELECTORS), r.pick(WINDOWS), r.pick(POINTS));
      return;
    case 8:
    case 9: // Another window, and another spelling of the same selector.
      if (page) {
        await v.subscribe(page, {
          window: r.pick(WINDOWS),
          points: r.pick(POINTS),
          spelling: r.chance(0.3) ? page.selector.other : undefined,
        });
      }
      return;
    case 10: // One that does not read, and has asked for more than fits into the sockets, in a room of its own.
    case 11:
      if (v.pause(true)) {
        const { life, socket } = v;
        const requests = r.pick([0, 16, 30]);
        let room = '';
        for (let i = 0; i < requests; i++) {
          const arg = { query: 'dense{i!="many"}', window: 3600 + i, points: 20000 };
          socket?.emit('subscribe', arg, (/** @type {any} */ ack) => {
            if (v.life !== life || !ack?.room) return;
            room = ack.room;
            v.left.add(room);
          });
        }
        if (page && r.chance(0.5))
          await v.subscribe(page, { window: r.pick(WINDOWS), points: r.pick(POINTS) });
        await sleep(r.int(500, 3000));
        if (v.life !== life) return;
        v.pause(false);
        await waitFor(() => v.life !== life || room !== '', 5000);
        if (v.life === life && room) await v.request('unsubscribe', { room });
      }
      return;
    default:
      return;
  }
}

/** Viewers act until told otherwise. @param {() => boolean} over */
async function lively(over) {
  await Promise.all(
    world.viewers.map(async v => {
      while (!over()) {
        await sleep(v.random.int(200, 2500));
        if (!over()) await act(v);
      }
    }),
  );
}

/** Writers stop, viewers come to rest, and everybody's page is compared with the truth. @param {boolean} last */
async function settle(last) {
  gate.closed = true;
  if (!(await waitFor(() => gate.busy === 0, 60_000)))
    world.violation('write', 'settle', `${gate.busy} writers have no answer after 60 s`);
  for (const v of world.viewers) {
    if (v.paused) v.pause(false);
    if (!v.wanted) await v.connect(v.server);
  }
  const started = Date.now();
  let compares = 0;
  let least = Infinity;
  let most = -1;
  let progress = Date.now();
  /** @type {{ v: Viewer, page?: Page, acknowledged?: number, lack: { rule: string, text: string, id: string } }[]} */
  let lacks = [];
  for (;;) {
    lacks = [];
    let sofar = 0;
    const now = Date.now();
    for (const v of world.viewers) {
      if (!v.settled()) {
        lacks.push({ v, lack: { rule: 'ack', text: `not at rest: ${v.why()}`, id: '' } });
        continue;
      }
      for (const page of v.pages.values()) {
        const { lacks: some, compared } = page.judge(LIMIT, now);
        sofar += compared;
        for (const { series, t, what, rule, acknowledged } of some) {
          const lack = { rule, text: `${series.key} at ${t}: ${what}`, id: `${series.key} ${t}` };
          lacks.push({ v, page, acknowledged, lack });
        }
        for (const { series, t, at } of truth.dropped) {
          if (t < now - Math.min(page.window, page.covered) * 1000 || t > now) continue;
          if (!page.selector.matches(series) || page.covers(series.key, t)) continue;
          if (page.excuse(series, at)) continue;
          if (page.matched > LIMIT && ![...page.ids.values()].some(k => k.key === series.key)) continue;
          lacks.push({
            v,
            page,
            lack: {
              rule: 'undeclared',
              text: `${series.key} at ${t}, given up at ${at}; gaps ${short(page.gaps.get(series.key))}`,
              id: `${series.key} ${t}`,
            },
          });
        }
      }
      if (v.root) {
        for (const t of v.root.ready ? v.root.lacks(now) : [0]) {
          lacks.push({
            v,
            lack: {
              rule: 'root',
              text: v.root.ready ? `lacks ${new Date(t).toISOString()}` : 'no bootstrap',
              id: `${t}`,
            },
          });
        }
      }
    }
    compares = sofar;
    if (lacks.length === 0) break;
    const heard = world.viewers.reduce((n, v) => n + v.heard, 0);
    if (lacks.length < least || heard !== most) {
      least = Math.min(least, lacks.length);
      most = heard;
      progress = Date.now();
    }
    // On a busy machine nothing may come for long.
    if (Date.now() - progress > 20_000 || Date.now() - started > 180_000) break;
    await sleep(150);
  }
  comparisons += compares;
  for (const { page, lack, acknowledged } of lacks) {
    if (lack.rule !== 'missing' || acknowledged === undefined) continue;
    if (page && page.matched > LIMIT) lack.rule = 'crowded';
    else if (world.losses.trimmed(acknowledged)) lack.rule = 'trimmed';
  }
  for (const { v, page, lack } of lacks) {
    const known = page?.reported ?? new Set();
    if (known.has(lack.id)) continue;
    known.add(lack.id);
    const held = page
      ? `; position ${page.position}, covered ${page.covered}, connections ${v.connections}`
      : '';
    world.violation(
      lack.rule,
      `${v.name} at ${v.server.name}${page ? ` in ${page.selector.text} window ${page.window}` : ''}`,
      lack.text + held,
      page?.log.slice(-20),
    );
  }
  await counts();
  await probes(last);
  for (const v of world.viewers) for (const page of v.pages.values()) page.prune(Date.now());
  const old = Date.now() - 3700_000;
  truth.dropped = truth.dropped.filter(d => d.t > old);
  say(`round ${round} (${fault}) settled in ${Date.now() - started} ms, ${truth.acknowledged} acknowledged`);
  gate.closed = last;
}

/** `matched` of the rooms, against what was written: with patience, since it is told apart from the samples. */
async function counts() {
  await waitFor(() => !miscounted(() => {}), 10_000);
  miscounted((v, detail, page) => v.violation('matched', detail, page));
}

/** @param {(v: Viewer, detail: string, page: Page) => void} tell */
function miscounted(tell) {
  let wrong = false;
  for (const v of world.viewers) {
    for (const page of v.pages.values()) {
      if (!v.settled()) continue;
      let least = 0;
      let most = 0;
      for (const s of truth.series.values()) {
        if (!page.selector.matches(s)) continue;
        most++;
        // Which series are known to match is not said: those of the last minutes surely.
        if (s.firstAcknowledged > Date.now() - 1000 || s.newest < Date.now() - 600_000) continue;
        if (truth.gaps.get(v.server.name)?.has(s.key)) continue;
        if (!world.losses.excuse(v.server.name, s, s.firstAcknowledged)) least++;
      }
      if (page.slowMatched && page.matched < least) {
        world.open('a page that was too slow is not told how many series match');
      } else if (page.matched < least || page.matched > most) {
        wrong = true;
        tell(v, `${page.matched} series match ${page.selector.text}, written were ${least} to ${most}`, page);
      }
    }
  }
  return wrong;
}

/** @param {any} answer @param {Selector} selector @param {import('./stage.js').Server} server @param {number} from @param {number} to @param {number} points */
function judgeHistory(answer, selector, server, from, to, points) {
  const where = `history at ${server.name}`;
  /** @type {Page} */
  const page = new Page({
    selector,
    window: (to - from) / 1000,
    points,
    truth,
    report: (rule, detail) => world.violation(rule, where, `[${from}, ${to}] ${detail}`),
    open: text => world.open(text),
    cause: (reason, name, keys) => world.gapCause(name, reason, keys),
    excuse: (series, acknowledged, sample) => world.losses.excuse(server.name, series, acknowledged, sample),
  });
  if (answer.from !== from || answer.to !== to || !Number.isInteger(answer.matched)) {
    world.violation('history', where, `asked for ${from} to ${to}: ${short(answer)}`);
  }
  page.matched = answer.matched;
  page.learn(answer.series);
  page.now = answer.now;
  page.ready = true;
  for (const gap of answer.gaps ?? []) page.gap(gap, server.name);
  const times = page.read(answer, server.name, Date.now(), 'history');
  if (times.min < from || times.max > to)
    world.violation('history', where, `${times.min} to ${times.max} for ${from} to ${to}`);
  for (const [key, n] of times.count)
    if (n > points) world.violation('points', where, `${n} values of ${key} for ${points}`);
  for (const [key, n] of times.columns) {
    if (n > points / 4) world.violation('points', where, `${n} columns of ${key} for ${points}`);
    let all = 0;
    for (const s of truth.series.get(key)?.between(from, to) ?? []) if (candidates(s).length > 0) all++;
    if (all <= points)
      world.violation('points', where, `columns of ${key}, although ${all} samples fit into ${points}`);
  }
  const { lacks, compared } = page.judgeRange(LIMIT, from, to);
  comparisons += compared + page.compared;
  const described = new Set([...page.ids.values()].map(known => known.key));
  for (const { series, t, what, acknowledged } of lacks) {
    if (!described.has(series.key) && truth.declared(server.name, series.key, t)) {
      world.open('a history names no gap of a series that has no sample in its span');
      continue;
    }
    const id = `${server.name} ${series.key} ${t}`;
    if (historyReported.has(id)) continue;
    historyReported.add(id);
    world.violation(
      acknowledged !== undefined && world.losses.trimmed(acknowledged) ? 'trimmed' : 'history',
      where,
      `${selector.text} [${from}, ${to}] points ${points}: ${series.key} at ${t}: ${what}; gaps ${short(page.gaps.get(series.key))}, told in rooms ${short(truth.gaps.get(server.name)?.get(series.key))}; losses ${short(world.losses.list.map(l => [l.server.name, l.reason, l.from, l.to]))}`,
    );
  }
}

/** @type {Set<string>} */
const historyReported = new Set();
let probeNumber = 0;

/** Fresh connections to each server: histories, a crowded room, the catalogue. @param {boolean} last */
async function probes(last) {
  for (const server of stage.servers) {
    const viewer = new Viewer(world, `probe${++probeNumber}`, random.fork(`probe${probeNumber}`), {
      transports: ['websocket'],
    });
    await viewer.connect(server);
    if (!(await waitFor(() => viewer.greeted, 10_000))) {
      world.violation('process', server.name, 'a probe is not greeted within 10 s');
      viewer.leave();
      continue;
    }
    const now = Date.now();
    const jobs = last
      ? SELECTORS.map(s => ({ s, from: begin - 7200_000, to: now, points: 20000 }))
      : [0, 1].map(() => {
          const from = now - random.pick([5000, 60_000, 3600_000]);
          return {
            s: random.pick(SELECTORS),
            from,
            to: random.int(from, now + 60_000),
            points: random.pick(POINTS),
          };
        });
    for (const { s, from, to, points } of jobs) {
      const answer = await viewer.request('history', { query: s.text, from, to, points });
      if (answer?.ok) judgeHistory(answer, s, server, from, to, points);
      else world.violation('history', `history at ${server.name}`, `${s.text}: ${short(answer)}`);
    }
    await crowdProbe(viewer, server);
    viewer.leave();
  }
  for (const v of world.viewers) {
    if (!v.catalogueMatch || !v.catalogue) continue;
    await sleep(1100); // "at most one a second", and on a busy machine later
    /** @param {Iterable<any>} list */
    const keys = list => new Set([...list].map(l => keyOfObject(l)));
    await waitFor(() => {
      const told = keys(v.catalogue?.values() ?? []);
      return [...truth.series.values()].every(
        s =>
          told.has(s.key) ||
          s.firstAcknowledged === Infinity ||
          s.newest < Date.now() - 600_000 ||
          s.object.__name__ === 'flood' ||
          world.losses.excuse(v.server.name, s, s.firstAcknowledged),
      );
    }, 10_000);
    const kept = v.catalogue;
    if (!kept) continue;
    const answer = await v.request('catalogue', { match: v.catalogueMatch }, a => v.knows(a));
    if (!answer?.ok) continue;
    const sorted = answer.series.map((/** @type {any} */ l) => canonical(Object.entries(l)));
    for (let i = 1; i < sorted.length; i++) {
      if (compareLabels(sorted[i - 1], sorted[i]) >= 0)
        v.violation('catalogue', `${short(sorted[i - 1])} before ${short(sorted[i])}`);
    }
    const asked = keys(answer.series);
    const told = keys(kept.values());
    for (const key of asked) if (!told.has(key)) v.violation('catalogue', `no event told of ${key}`);
    for (const key of told)
      if (!asked.has(key)) v.violation('catalogue', `no event told that ${key} is gone`);
    for (const s of truth.series.values()) {
      if (
        s.object.__name__ === 'flood' ||
        s.firstAcknowledged > Date.now() - 1500 ||
        s.newest < Date.now() - 600_000
      )
        continue;
      if (asked.has(s.key) || truth.gaps.get(v.server.name)?.has(s.key)) continue;
      if (!world.losses.excuse(v.server.name, s, s.firstAcknowledged))
        v.violation('catalogue', `${s.key} is not in it`);
    }
    for (const key of asked) if (!truth.series.has(key)) v.violation('catalogue', `${key} was not written`);
  }
}

/** A crowded room that is new on this server: "chosen in the order of their labels when the room is opened".
 * @param {Viewer} viewer @param {import('./stage.js').Server} server */
async function crowdProbe(viewer, server) {
  const selector = new Selector('crowd', [['!=', 'n', `probe ${probeNumber}`]]);
  const page = await viewer.join(selector, 100, 40);
  if (!(await waitFor(() => viewer.settled(), 10_000))) {
    world.violation('ack', `crowd at ${server.name}`, viewer.why());
    return;
  }
  const all = [...truth.series.values()].filter(s => selector.matches(s));
  if (all.some(s => acknowledgedAtAll(s) > Date.now() - 1000) || all.length <= LIMIT) return;
  all.sort((a, b) => compareLabels(a.labels, b.labels));
  const due = new Set(all.slice(0, LIMIT).map(s => s.key));
  const sent = new Set([...page.ids.values()].map(k => k.key));
  if (page.matched !== all.length || page.sent !== LIMIT) {
    world.violation(
      'matched',
      `crowd at ${server.name}`,
      `matched ${page.matched} sent ${page.sent} of ${all.length}`,
    );
  }
  for (const key of sent)
    if (!due.has(key))
      world.violation(
        'matched',
        `crowd at ${server.name}`,
        `${key} is sent, and is not among the first ${LIMIT}`,
      );
  const { lacks, compared } = page.judge(LIMIT);
  comparisons += compared;
  for (const { series, t, what, rule } of lacks)
    world.violation(rule, `crowd at ${server.name}`, `${series.key} at ${t}: ${what}`);
}

/** @param {import('./truth.js').Series} s */
const acknowledgedAtAll = s => s.firstAcknowledged;

async function main() {
  console.log(
    `witness: ${options.binary}, mode ${options.mode}, for ${options.for}, seed ${seed}, in ${dir}`,
  );
  await stage.start(Number(options.port));
  world.losses.logSince = () => stage.redis?.backSince ?? 0;
  await manners();
  await backlog(world, random);
  const writers = startWriters(world, random.fork('writers'));
  await sleep(1500);
  await createViewers(6);
  /** @type {import('./faults.js').Fault[]} */
  let bag = [];
  const chooser = random.fork('faults');
  const skipped = options.skip.split(',');
  const choices = FAULTS.filter(
    f => f.modes.includes(options.mode) && f.name.includes(options.only) && !skipped.includes(f.name),
  );
  while (Date.now() < until || round === 0) {
    round++;
    if (bag.length === 0) bag = chooser.shuffled(choices);
    const next = /** @type {import('./faults.js').Fault} */ (bag.pop());
    fault = next.name;
    faultCounts.set(fault, (faultCounts.get(fault) ?? 0) + 1);
    let over = false;
    const life = lively(() => over);
    await sleep(random.int(300, 1500));
    harm++;
    try {
      await next.run(world, chooser);
    } catch (error) {
      world.violation('process', fault, String(error));
    }
    harm--;
    lastHarm = Date.now();
    await sleep(random.int(300, 1500) + (chooser.chance(0.3) ? 3500 : 0));
    over = true;
    await life;
    await settle(false);
  }
  // What was lost in the last rounds is declared, and judged.
  await waitFor(() => !world.losses.judging(), 120_000);
  await sleep(500);
  await settle(true);
  gate.over = true;
  await writers.done;
  for (const v of world.viewers) v.leave();
  return writers;
}

/** @param {Awaited<ReturnType<typeof main>> | undefined} writers */
function summary(writers) {
  const sum = { resume: 0, lost: 0, slow: 0, join: 0, parts: 0, gaps: 0, status: 0, updates: 0 };
  let messages = 0;
  for (const v of world.viewers) {
    for (const [name, n] of Object.entries(v.counts)) sum[/** @type {'join'} */ (name)] += n;
    for (const page of v.pages.values()) comparisons += page.compared;
    messages += v.root?.messages ?? 0;
    comparisons += v.root?.compared ?? 0;
  }
  console.log(
    `samples    ${truth.acknowledged} acknowledged, ${truth.refused} refused, ${truth.unanswered} without an answer, ${truth.seconds} second values`,
  );
  console.log(
    `series     ${truth.series.size}; batches given up ${writers?.sources.reduce((n, s) => n + s.holes, 0)} times, merged ${writers?.sources.reduce((n, s) => n + s.merged, 0)} times`,
  );
  console.log(
    `messages   ${Object.entries(sum)
      .map(([k, n]) => `${k} ${n}`)
      .join(', ')}, namespace / ${messages}`,
  );
  console.log(`connected  ${world.viewers.reduce((n, v) => n + v.connections, 0)} times`);
  console.log(`compared   ${comparisons} samples`);
  console.log(
    `faults     ${[...faultCounts].map(([k, n]) => `${k} ${n}`).join(', ') || 'none'} in ${round} rounds, ${clock()}`,
  );
  for (const [text, n] of open) console.log(`open       ${text} (${n})`);
  let total = 0;
  const tolerated = options.tolerate.split(',');
  for (const [rule, { count, examples }] of violations) {
    if (tolerated.includes(rule)) {
      console.log(`tolerated  ${rule}, ${count} times, as told: ${examples[0]}`);
      continue;
    }
    total += count;
    console.log(`\nVIOLATED   ${rule}, ${count} times: ${RULES[rule]}`);
    for (const example of examples) console.log(`  ${example}`);
  }
  console.log(
    total === 0
      ? 'nothing was violated'
      : `\n${total} violations; repeat with --mode ${options.mode} --for ${options.for} --seed ${seed}`,
  );
  return total;
}

let failed = true;
for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM'])) {
  process.once(signal, async () => {
    await stage.end();
    process.exit(2);
  });
}
try {
  const writers = await main();
  failed = summary(writers) > 0;
} catch (error) {
  console.error(error);
  summary(undefined);
} finally {
  await stage.end();
  if (!options.keep && !failed) rmSync(dir, { recursive: true, force: true });
  else console.log(`logs and data are in ${dir}`);
}
process.exit(failed ? 1 : 0);
