// What a page keeps of one room, as docs/PROTOCOL.md tells it to, and what is wrong with each message.

import { acknowledgedAt, candidates, keyOfObject, wire } from './truth.js';

/**
 * @typedef {import('./truth.js').Truth} Truth
 * @typedef {import('./truth.js').Series} Series
 * @typedef {(rule: string, detail: string) => void} Report
 * @typedef {{ step: number, start: number, values: (number | null)[], at: number }} Column
 * @typedef {{ series: Series, t: number, what: string, rule: string, acknowledged?: number }} Lack
 */

const PART = 128 * 1024;

/** @param {unknown} value */
const short = value => {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 300 ? `${text.slice(0, 300)}...` : text;
};

/** How long after a loss the gap of it may be told. */
const GAP_DUE = 30_000;

/** The time of the log in a position, Unix ms. The document calls positions opaque; this judge looks into them. @param {unknown} position */
function logTime(position) {
  const found = /-(\d{13})-\d+$/.exec(String(position));
  return found ? Number(found[1]) : undefined;
}

export class Page {
  /**
   * @param {object} o
   * @param {import('./selector.js').Selector} o.selector
   * @param {number} o.window seconds
   * @param {number} o.points
   * @param {Truth} o.truth
   * @param {Report} o.report
   * @param {(text: string) => void} [o.open] something that the documents do not decide
   * @param {(reason: string, server: string, keys: string[]) => string | undefined} [o.cause] what is wrong with a gap
   * @param {(series: Series, acknowledged: number, sample?: import('./truth.js').Sample) => boolean} [o.excuse] it may be missing, and no gap say so
   * @param {() => boolean} [o.judging] a loss of the log, so that no position need be good for a resume
   */
  constructor({
    selector,
    window,
    points,
    truth,
    report,
    open = () => {},
    cause = () => undefined,
    excuse = () => false,
    judging = () => false,
  }) {
    this.selector = selector;
    this.window = window;
    this.points = points;
    this.truth = truth;
    this.say = report;
    this.open = open;
    this.cause = cause;
    this.excuse = excuse;
    this.judging = judging;
    /** @type {Map<string, Map<number, number | null>>} */
    this.raw = new Map();
    /** @type {Map<string, Map<string, Column>>} */
    this.columns = new Map();
    /** @type {Map<string, Set<number>>} */
    this.steps = new Map();
    /** @type {Map<string, import('./truth.js').Gap[]>} */
    this.gaps = new Map();
    /** @type {Map<string, number>} */
    this.newest = new Map();
    /** @type {Map<number, { key: string, interval: number }>} */
    this.ids = new Map();
    this.position = '';
    /** When a position was last seen, if a page can resume from it. @type {number | undefined} */
    this.seen = undefined;
    this.room = '';
    this.matched = 0;
    /** Whether more series matched than were sent, ever: nobody resumes in such a room. */
    this.crowded = false;
    this.sent = 0;
    /** @type {{ state: string, since: number } | undefined} */
    this.status = undefined;
    /** A state that is not so, unless another one follows at once. @type {{ text: string, at: number } | undefined} */
    this.doubt = undefined;
    /** @type {any} */
    this.part = undefined;
    /** Of this connection: subscribed, and a bootstrap is complete. */
    this.ready = false;
    /** What the complete bootstrap was asked for. */
    this.covered = 0;
    /** @type {{ server: string, series: Series, t: number, what: string, until: number }[]} samples out of order, perhaps in a gap */
    this.behind = [];
    /** @type {{ since: string, window: number, points: number, at: number, fresh: boolean }[]} */
    this.asked = [];
    this.now = 0;
    this.bootAt = 0;
    /** A slow bootstrap, which has no `matched`, stands for updates that had one perhaps. */
    this.slowMatched = false;
    this.messages = 0;
    this.compared = 0;
    /** @type {Set<string>} */
    this.reported = new Set();
    /** @type {string[]} */
    this.log = [];
  }

  /** @param {string} line */
  note(line) {
    this.log.push(`${new Date().toISOString().slice(11, 23)} ${line}`);
    if (this.log.length > 60) this.log.shift();
  }

  /** @param {string} rule @param {string} detail */
  report(rule, detail) {
    this.say(rule, `${this.selector.text} window ${this.window} points ${this.points}: ${detail}`);
  }

  /** Another connection: ids "may be others". */
  disconnected() {
    this.ids.clear();
    this.part = undefined;
    this.ready = false;
    this.asked = [];
    this.status = undefined;
    this.doubt = undefined;
    if (!this.log.at(-1)?.endsWith(' disconnected')) this.note('disconnected');
  }

  /** A subscribe was acknowledged. @param {any} ack @param {{ since: string, window: number, points: number, at: number, fresh: boolean }} request */
  subscribed(ack, request) {
    if (this.room && ack.room !== this.room) this.report('room', `${ack.room} was ${this.room} before`);
    this.room = ack.room;
    this.matched = ack.matched;
    this.crowded ||= ack.matched > ack.sent;
    this.slowMatched = false;
    this.sent = ack.sent;
    this.asked.push(request);
    this.window = request.window;
    this.points = request.points;
    this.note(
      `ack ${short(ack)} for since ${request.since || 'none'} window ${request.window} points ${request.points}`,
    );
    if (!(ack.sent <= ack.matched)) this.report('matched', short(ack));
  }

  /** @param {any} m @param {string} server @param {number} [at] */
  bootstrap(m, server, at = Date.now()) {
    this.messages++;
    this.note(
      `bootstrap (asked ${this.asked.length}) ${m.reason} from ${m.from}${m.more ? ' more' : ''} position ${m.position} series ${m.series?.length} blocks ${m.blocks?.length}`,
    );
    this.clock(m, at);
    let part = this.part;
    if (part && m.series !== undefined && (this.asked.length > 0 || m.reason === 'slow')) part = undefined;
    if (!part) {
      // A page may be too slow for the answer to its own subscribe; on a new connection that is the first bootstrap.
      const request = m.reason === 'slow' && this.ready && m.from !== null ? undefined : this.asked.shift();
      if (!Array.isArray(m.series)) this.report('parts', `a first part without series: ${short(m)}`);
      this.reasonable(m, request);
      if (m.from === null) {
        this.raw.clear();
        this.columns.clear();
        this.steps.clear();
        this.gaps.clear();
        this.newest.clear();
        this.ids.clear();
        // What was held is replaced, so a position from before the replacement must not be used as `since` until
        // the last part has come. The document does not say so.
        this.position = '';
      }
      part = {
        from: m.from,
        reason: m.reason,
        raw: -Infinity,
        /** @type {Map<string, number>} */ column: new Map(),
        /** @type {Map<string, number>} */ count: new Map(),
        window: request?.window ?? this.covered,
        points: request?.points ?? this.points,
        at,
        number: 0,
      };
      this.part = part;
    } else {
      if (m.series !== undefined) this.report('parts', `a later part with series: ${short(m)}`);
      if (m.from !== part.from || m.reason !== part.reason) {
        this.report(
          'parts',
          `from ${m.from} reason ${m.reason} behind from ${part.from} reason ${part.reason}`,
        );
      }
    }
    part.number++;
    this.learn(m.series ?? []);
    this.size(m);
    const times = this.read(m, server, at, 'bootstrap');
    if (times.min <= part.raw) {
      this.report(
        'parts',
        `part ${part.number} (${part.reason}) begins at ${times.min}, the one before ended at ${part.raw}`,
      );
    }
    part.raw = Math.max(part.raw, times.max);
    for (const [key, n] of times.count) part.count.set(key, (part.count.get(key) ?? 0) + n);
    for (const [key, n] of times.columns) part.column.set(key, (part.column.get(key) ?? 0) + n);
    if (m.more === true) {
      if (m.position !== undefined) this.report('parts', 'a part that is not the last has a position');
      return;
    }
    if (m.more !== undefined && m.more !== false) this.report('parts', `more: ${short(m.more)}`);
    if (typeof m.position !== 'string' || m.position === '')
      this.report('parts', `the last part has position ${short(m.position)}`);
    else {
      this.position = m.position;
      this.seen = this.judging() ? undefined : Math.min(at, m.now);
    }
    // "All that came up to it has been sent": the bootstrap may be as old as its position.
    if (this.asked.length === 0) this.fits(part, Math.min(at, m.now, logTime(m.position) ?? at));
    this.part = undefined;
    this.ready = true;
    this.bootAt = at;
    if (part.reason === 'slow') this.slowMatched = true;
    if (part.from === null || part.window < this.covered || this.covered === 0) this.covered = part.window;
    else if (part.window > this.covered) {
      this.open(
        'subscribe with since and a wider window: what lies before the old window is not promised in words',
      );
    }
  }

  /** @param {any} m @param {any} request */
  reasonable(m, request) {
    if (m.from !== null && (typeof m.from !== 'string' || m.from === ''))
      this.report('parts', `from is ${short(m.from)}`);
    if (!request) {
      if (m.reason !== 'slow' && m.reason !== 'lost')
        this.report('reason', `${m.reason} without a subscribe`);
      return;
    }
    const { since, fresh } = request;
    if (m.reason === 'slow') {
      this.open('the first bootstrap behind a subscribe may have reason slow');
      if (m.from !== null && since === '')
        this.report('reason', `slow from ${m.from}, which this page has never seen`);
      return;
    }
    if (since === '') {
      if (m.from !== null) this.report('reason', `from ${m.from} (${m.reason}) although there was no since`);
      if (m.reason !== 'join') this.report('reason', `${m.reason} although there was no since`);
    } else if (m.reason === 'resume') {
      if (m.from === null) this.report('reason', 'resume, but from is null');
    } else if (m.reason === 'lost') {
      if (m.from !== null) this.report('reason', `lost, but from is ${m.from}`);
      if (fresh && !this.crowded && !this.overflowed())
        this.report('reason', `lost, although since ${since} is of this epoch and seconds old`);
    } else {
      this.report('reason', `${m.reason} for since ${since}`);
    }
  }

  /** "or more has come since than `points` values of a series". */
  overflowed() {
    const since = (this.seen ?? 0) - 1000;
    for (const series of this.truth.series.values()) {
      if (!this.selector.matches(series)) continue;
      let all = 0;
      // Late ones and those ahead of the clock have come since, too.
      for (const s of series.between(since - 3600_000, since + 120_000)) {
        if (s.tries.some(x => x.endAt >= since)) all++;
      }
      if (all > this.points) return true;
    }
    return false;
  }

  /** @param {any} part @param {number} at */
  fits(part, at) {
    if (part.from !== null) {
      for (const n of part.count.values()) {
        if (n > part.points) this.open('a resumed bootstrap may have more values per series than `points`');
      }
      return;
    }
    for (const [key, n] of part.count) {
      if (n > part.points) this.report('points', `${n} raw values of ${key}, ${part.points} asked for`);
      if (part.column.has(key)) this.open('one series raw and in columns in one bootstrap');
    }
    for (const [key, n] of part.column) {
      if (n > Math.floor(part.points / 4))
        this.report('points', `${n} columns of ${key} for ${part.points} points`);
      const series = this.truth.series.get(key);
      if (!series) continue;
      // The bootstrap may be of a moment earlier than its request, when the window began earlier.
      let all = 0;
      for (const s of series.between(at - part.window * 1000 - 10_000, at + 70_000)) {
        if (candidates(s).length > 0) all++;
      }
      if (all <= part.points)
        this.report('points', `columns of ${key}, although its ${all} samples fit into ${part.points}`);
    }
  }

  /** @param {any} m */
  size(m) {
    const length = Buffer.byteLength(JSON.stringify(m));
    if (length <= PART * 1.05) return;
    const times = new Set();
    for (const b of m.blocks ?? []) {
      if (b.x) for (const t of b.x) times.add(t);
      else for (let i = 0; i * 4 < b.y[0].length; i++) times.add(b.x0 + i * b.step);
    }
    if (times.size > 1)
      this.report(
        'parts',
        `a part of ${length} bytes (${m.reason}, from ${m.from}) with ${times.size} times`,
      );
  }

  /** @param {any} m @param {string} server @param {number} [at] */
  update(m, server, at = Date.now()) {
    this.messages++;
    this.note(
      `update ${m.position}${m.matched === undefined ? '' : ` matched ${m.matched}`} series ${m.series?.length ?? 0} gone ${short(m.gone)} ${short(m.blocks?.map((/** @type {any} */ b) => [b.ids.length, b.x?.[0], b.x?.length]))}`,
    );
    this.clock(m, at);
    if (this.part) this.report('position', 'an update between two parts of a bootstrap');
    else if (!this.ready) this.report('position', 'an update before the first bootstrap');
    this.learn(m.series ?? []);
    if (m.matched !== undefined) {
      this.matched = m.matched;
      this.slowMatched = false;
    }
    this.read(m, server, at, 'update');
    for (const id of m.gone ?? []) {
      const known = this.ids.get(id);
      if (!known) {
        this.open('`gone` may name a series that this page was not told of, and has nothing of');
        continue;
      }
      this.ids.delete(id);
      const series = this.truth.series.get(known.key);
      if (!series) continue;
      for (const s of series.between(m.now - this.window * 1000 + 100, m.now)) {
        // Acknowledged a while ago, so that the server has it.
        if (acknowledgedAt(s) < at - 3000 && !this.truth.declared(server, known.key, s.t)) {
          this.report('gone', `${known.key} has a sample at ${s.t}, now is ${m.now}`);
          break;
        }
      }
    }
    if (typeof m.position !== 'string' || m.position === '')
      this.report('block', `an update with position ${short(m.position)}`);
    else if (!this.part) {
      this.position = m.position;
      this.seen = this.judging() ? undefined : Math.min(at, m.now);
    }
  }

  /** @param {any} m @param {number} at */
  clock(m, at) {
    if (!Number.isInteger(m.now) || m.now > at + 100) this.report('now', `now ${m.now} at ${at}`);
    this.now = m.now;
  }

  /** @param {any[]} list */
  learn(list) {
    for (const { id, labels, interval_ms: interval } of list) {
      const key = keyOfObject(labels);
      const before = this.ids.get(id);
      if (before && before.key !== key) this.report('ids', `${id} is ${key} and ${before.key}`);
      for (const [other, known] of this.ids) {
        if (known.key === key && other !== id) this.report('ids', `${key} is ${id} and ${other}`);
      }
      if (!Number.isInteger(id) || !Number.isFinite(interval) || interval < 0)
        this.report('ids', short({ id, interval }));
      this.ids.set(id, { key, interval });
      const series = this.truth.series.get(key);
      if (series && !this.selector.matches(series)) this.report('invented', `${key} does not match`);
    }
  }

  /**
   * @param {any} m @param {string} server @param {number} at @param {string} kind
   */
  read(m, server, at, kind) {
    const times = {
      min: Infinity,
      max: -Infinity,
      /** @type {Map<string, number>} */ count: new Map(),
      /** @type {Map<string, number>} */ columns: new Map(),
    };
    /** @type {Map<string, { oldest: number, newest: number, series: Series }>} */
    const fresh = new Map();
    if (!Array.isArray(m.blocks)) {
      this.report('block', `blocks of ${kind}: ${short(m)}`);
      return times;
    }
    for (const block of m.blocks) {
      const { ids, x, y, x0, step } = block;
      if (
        !Array.isArray(ids) ||
        !Array.isArray(y) ||
        ids.length !== y.length ||
        new Set(ids).size !== ids.length
      ) {
        this.report('block', `ids and y of ${kind}: ${short(block)}`);
        continue;
      }
      const columns = x === undefined;
      if (columns) {
        if (!(Number.isInteger(step) && step > 0 && Number.isInteger(x0) && x0 % step === 0)) {
          this.report('columns', `x0 ${x0} step ${step}`);
        }
      } else {
        for (let i = 0; i < x.length; i++) {
          if (!Number.isInteger(x[i]) || (i > 0 && x[i] <= x[i - 1])) {
            this.report('block', `x does not ascend strictly: ${short(x)}`);
            break;
          }
        }
        if (x.length > 0) {
          times.min = Math.min(times.min, x[0]);
          times.max = Math.max(times.max, x[x.length - 1]);
        }
      }
      for (let row = 0; row < ids.length; row++) {
        const known = this.ids.get(ids[row]);
        if (!known) {
          this.report('ids', `${kind} with id ${ids[row]}, which was not described: ${short(block)}`);
          continue;
        }
        const values = y[row];
        if (!Array.isArray(values) || (columns ? values.length % 4 !== 0 : values.length !== x.length)) {
          this.report('block', `values of ${known.key} in ${kind}: ${short(block)}`);
          continue;
        }
        if (columns) {
          times.columns.set(
            known.key,
            (times.columns.get(known.key) ?? 0) + this.takeColumns(known.key, block, values, at),
          );
          continue;
        }
        times.count.set(known.key, (times.count.get(known.key) ?? 0) + x.length);
        for (let i = 0; i < x.length; i++) this.take(known.key, x[i], values[i], server, kind, fresh);
      }
    }
    for (const [key, { oldest, newest, series }] of fresh) {
      const before = this.newest.get(key) ?? -Infinity;
      if (series.ordered && oldest < before && !this.truth.declared(server, key, oldest)) {
        this.behind.push({
          server,
          series,
          t: oldest,
          what: `comes behind ${before} in ${kind} ${m.reason ?? ''}`,
          until: at + GAP_DUE,
        });
      }
      this.newest.set(key, Math.max(before, newest));
    }
    return times;
  }

  /**
   * @param {string} key @param {number} t @param {number | null} v @param {string} server @param {string} kind
   * @param {Map<string, { oldest: number, newest: number, series: Series }>} fresh
   */
  take(key, t, v, server, kind, fresh) {
    this.compared++;
    const wrong = this.truth.judge(key, t, v, server);
    if (wrong) this.report(wrong.rule, `${key} at ${t} in ${kind}: ${wrong.detail}`);
    let held = this.raw.get(key);
    if (!held) {
      held = new Map();
      this.raw.set(key, held);
    }
    const before = held.get(t);
    if (before !== undefined && before !== v && !this.truth.declared(server, key, t)) {
      this.report('value', `${key} at ${t} was ${before} and is ${v} in ${kind}`);
    }
    // What lies before the window may come as well, late: nothing is said of it. What lies in a column is held.
    if (before === undefined && t >= this.now - this.window * 1000 && !this.columnOf(key, t)) {
      const series = this.truth.series.get(key);
      if (series) {
        const f = fresh.get(key);
        if (!f) fresh.set(key, { oldest: t, newest: t, series });
        else {
          f.oldest = Math.min(f.oldest, t);
          f.newest = Math.max(f.newest, t);
        }
      }
    }
    held.set(t, v);
  }

  /** A column that the page holds and in which t lies. @param {string} key @param {number} t */
  columnOf(key, t) {
    for (const step of this.steps.get(key) ?? []) {
      const column = this.columns.get(key)?.get(`${step} ${Math.floor(t / step) * step}`);
      if (column) return column;
    }
    return undefined;
  }

  /** @param {string} key @param {any} block @param {(number | null)[]} values @param {number} at */
  takeColumns(key, { x0, step }, values, at) {
    let held = this.columns.get(key);
    if (!held) {
      held = new Map();
      this.columns.set(key, held);
    }
    let steps = this.steps.get(key);
    if (!steps) {
      steps = new Set();
      this.steps.set(key, steps);
    }
    steps.add(step);
    const n = values.length / 4;
    for (let i = 0; i < n; i++) {
      const four = values.slice(4 * i, 4 * i + 4);
      const start = x0 + i * step;
      if (held.has(`${step} ${start}`)) this.open('a column is sent twice; which one counts is not said');
      held.set(`${step} ${start}`, { step, start, values: four, at });
      const series = this.truth.series.get(key);
      if (!series) this.report('invented', `columns of ${key}, which was not written`);
      else {
        const wrong = columnWrong(series, { step, start, values: four, at }, () => false, -Infinity);
        if (wrong) this.report('columns', `${key} ${start}+${step} ${short(four)}: ${wrong}`);
      }
    }
    return n;
  }

  /** @param {any} m @param {string} server */
  gap(m, server) {
    this.messages++;
    this.note(`gap ${short(m)}`);
    const { ids, from, to, reason } = m;
    if (!Array.isArray(ids) || !Number.isInteger(from) || !Number.isInteger(to) || from >= to) {
      this.report('gap', short(m));
      return;
    }
    const keys = ids.map(id => this.ids.get(id)?.key ?? '');
    const wrong = this.cause(reason, server, keys);
    if (wrong) this.report('gap', `${wrong}: ${short(m)}`);
    if (!this.ready && !this.part) this.report('gap', `before the bootstrap: ${short(m)}`);
    for (const id of ids) {
      const known = this.ids.get(id);
      if (!known) {
        this.report('ids', `a gap of ${id}, which was not described`);
        continue;
      }
      const gap = { from, to, reason };
      let list = this.gaps.get(known.key);
      if (!list) {
        list = [];
        this.gaps.set(known.key, list);
      }
      if (!list.some(g => g.from === from && g.to === to)) list.push(gap);
      this.truth.declare(server, known.key, gap);
    }
  }

  /** @param {any} m @param {boolean} prompt it was read when it came @param {number} [at] */
  setStatus(m, prompt, at = Date.now()) {
    this.messages++;
    this.note(`status ${m.state} ${m.since}`);
    if (!['live', 'stale', 'not_stored'].includes(m.state)) this.report('status', short(m));
    if (!this.ready) this.report('status', `before the first bootstrap is complete: ${short(m)}`);
    if (m.state === 'not_stored') this.report('status', 'not_stored, but the disk was not full');
    this.status = m;
    this.doubt = undefined;
    if (m.state !== 'stale' || !prompt) return;
    // Younger than 3 s, and sent by this server: how long it takes one to read the log is not said.
    for (const { key } of this.ids.values()) {
      const newest = this.newest.get(key) ?? -Infinity;
      if (newest > at - 2000) {
        this.doubt = { text: `stale at ${at}, but ${key} has a sample at ${newest}`, at };
        return;
      }
    }
  }

  /** @param {string} key @param {number} t */
  covers(key, t) {
    return this.gaps.get(key)?.some(g => g.from < t && t < g.to) ?? false;
  }

  /** The series whose samples this page must have. @param {number} limit */
  due(limit) {
    const described = new Set([...this.ids.values()].map(known => known.key));
    const all = [...this.truth.series.values()].filter(s => this.selector.matches(s));
    if (all.length <= limit) return all;
    return all.filter(s => described.has(s.key));
  }

  /**
   * What the page lacks now, or holds wrongly, by the promise.
   * @param {number} limit series that a room sends
   * @param {number} [now]
   * @returns {{ lacks: Lack[], compared: number }}
   */
  judge(limit, now = Date.now()) {
    return this.judgeRange(limit, now - Math.min(this.window, this.covered) * 1000, now);
  }

  /** @param {number} limit @param {number} from @param {number} to both included */
  judgeRange(limit, from, to) {
    /** @type {Lack[]} */
    const lacks = [];
    let compared = 0;
    // What fills a gap comes late. The gap is told later still.
    this.behind = this.behind.filter(b => !this.truth.declared(b.server, b.series.key, b.t));
    for (const { series, t, what, until } of this.behind) {
      if (to > until) this.report('order', `${series.key}: ${t} ${what}`);
      else lacks.push({ series, t, what, rule: 'order' });
    }
    this.behind = this.behind.filter(b => to <= b.until);
    for (const series of this.due(limit)) {
      const raw = this.raw.get(series.key);
      /** @type {Set<Column>} */
      const touched = new Set();
      /** @param {import('./truth.js').Sample} s */
      const settled = s =>
        raw?.has(s.t) || this.covers(series.key, s.t) || this.excuse(series, acknowledgedAt(s), s);
      for (const s of series.between(from, to)) {
        if (acknowledgedAt(s) === Infinity) continue;
        compared++;
        if (settled(s)) continue;
        const column = this.columnOf(series.key, s.t);
        if (column) touched.add(column);
        else
          lacks.push({
            series,
            t: s.t,
            what: `${candidates(s)}, acknowledged ${acknowledgedAt(s)}`,
            rule: 'missing',
            acknowledged: acknowledgedAt(s),
          });
      }
      for (const column of touched) {
        const wrong = columnWrong(series, column, settled, from, to);
        if (wrong) {
          lacks.push({
            series,
            t: column.start,
            what: `column of ${column.step} ${short(column.values)}: ${wrong}`,
            rule: 'columns',
          });
        }
      }
    }
    return { lacks, compared };
  }

  /**
   * A subscribe has no bootstrap of its own when the page is sent a slow one instead, or subscribes anew before it
   * has come; after that the page must have what it asked for.
   * @param {number} [now]
   */
  rest(now = Date.now()) {
    if (this.doubt) {
      if (now - this.doubt.at < 3000) return false;
      this.report('status', this.doubt.text);
      this.doubt = undefined;
    }
    if (!this.ready || this.part) return false;
    if (this.asked.length === 0) return true;
    if (this.bootAt < this.asked[this.asked.length - 1].at || now - this.bootAt < 3000) return false;
    this.open('one bootstrap answers two subscribes, the second of which came before it, or a slow one');
    this.asked = [];
    this.covered = this.window;
    return true;
  }

  /** Forgets what is far behind the window. @param {number} now */
  prune(now) {
    const from = now - Math.max(this.window, this.covered) * 1000 - 60_000;
    for (const samples of this.raw.values()) for (const t of samples.keys()) if (t < from) samples.delete(t);
  }
}

/**
 * Whether a column is first, minimum, maximum and last of samples that it may have, with all of those that it must
 * have: the acknowledged ones that the page does not hold otherwise. Of a column at the edge of a window either
 * all or those inside may be in it: the document does not say. Nor does it say what NaN does to a column.
 * @param {Series} series @param {Column} column
 * @param {(s: import('./truth.js').Sample) => boolean | undefined} held @param {number} from @param {number} [to]
 * @returns {string | undefined}
 */
export function columnWrong(series, { step, start, values, at }, held, from, to = Infinity) {
  /** @type {{ t: number, low: number, high: number }[]} */
  const must = [];
  /** @type {{ t: number, v: number }[]} */
  const may = [];
  let odd = false;
  for (const s of series.between(start, start + step - 1)) {
    const sent = candidates(s).filter(() => s.tries[0].sentAt <= at);
    if (sent.length === 0) continue;
    if (sent.some(v => !Number.isFinite(v))) odd = true;
    const finite = sent.filter(v => Number.isFinite(v));
    for (const v of finite) may.push({ t: s.t, v });
    if (
      from > -Infinity &&
      s.t >= from &&
      s.t <= to &&
      acknowledgedAt(s) < Infinity &&
      !held(s) &&
      finite.length === sent.length
    ) {
      must.push({ t: s.t, low: Math.min(...finite), high: Math.max(...finite) });
    }
  }
  const [first, min, max, last] = values;
  if (values.every(v => v === null))
    return must.length > 0 ? `it is empty, but should have ${short(must)}` : undefined;
  if (values.some(v => v === null)) return odd ? undefined : 'one value is null';
  if (may.length === 0) return odd ? undefined : 'there are no samples in it';
  const all = new Set(may.map(m => m.v));
  if (odd) return undefined;
  for (const v of values)
    if (!all.has(/** @type {number} */ (v))) return `${v} is none of ${short([...all].slice(0, 20))}`;
  const [f, lo, hi, l] = /** @type {number[]} */ (values);
  if (!(lo <= f && f <= hi && lo <= l && l <= hi))
    return `first ${first} and last ${last} are not between ${min} and ${max}`;
  if (must.length === 0) return undefined;
  must.sort((a, b) => a.t - b.t);
  const low = Math.min(...must.map(m => m.high));
  const high = Math.max(...must.map(m => m.low));
  if (lo > low) return `the minimum should be ${low} or less`;
  if (hi < high) return `the maximum should be ${high} or more`;
  if (!may.some(m => m.v === f && m.t <= must[0].t))
    return `the first is not at ${must[0].t} or before: ${short(must[0])}`;
  const end = must[must.length - 1];
  if (!may.some(m => m.v === l && m.t >= end.t))
    return `the last is not at ${end.t} or behind: ${short(end)}`;
  return undefined;
}

export { short, wire };
