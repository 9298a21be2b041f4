// A page of the Flask-SocketIO recipe: namespace /.

import { acknowledgedAt, candidates, wire } from './truth.js';

const FORM = /^(\d{4})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)(?:\.(\d\d\d))?$/;

export class RootPage {
  /**
   * @param {object} o
   * @param {import('./truth.js').Series} o.series the default series, which is written in order
   * @param {number} o.window seconds
   * @param {number} o.offset of the server's time zone, minutes
   * @param {(rule: string, detail: string) => void} o.report
   * @param {(server: string, acknowledged: number) => boolean} [o.excuse] it may be missing, and no gap say so
   */
  constructor({ series, window, offset, report, excuse = () => false }) {
    this.series = series;
    this.window = window;
    this.offset = offset;
    this.report = report;
    this.excuse = excuse;
    this.server = '';
    /** @type {{ from: number, to: number }[]} */
    this.gaps = [];
    /** @type {Map<number, number | null>} */
    this.held = new Map();
    this.newest = -Infinity;
    this.since = Infinity;
    this.ready = false;
    this.messages = 0;
    this.compared = 0;
  }

  /** @param {any} socket @param {string} server @param {() => boolean} mine */
  attach(socket, server, mine) {
    this.ready = false;
    this.server = server;
    socket.on('bootstrap', (/** @type {any} */ m) => mine() && this.bootstrap(m, server));
    socket.on('update', (/** @type {any} */ m) => mine() && this.update(m, server));
    socket.on('gap', (/** @type {any} */ m) => mine() && this.gap(m));
    socket.connect();
  }

  /** @param {string} text */
  time(text) {
    const parts = FORM.exec(text);
    if (!parts) {
      this.report('root', `a time is ${JSON.stringify(text)}`);
      return Number.NaN;
    }
    const [year, month, day, hour, minute, second, milli = '0'] = parts.slice(1);
    if (milli === '000') this.report('root', `${text} is a whole second, and has .000`);
    const utc = Date.UTC(+year, +month - 1, +day, +hour, +minute, +second, +milli);
    return utc - this.offset * 60_000;
  }

  /** @param {any} m @param {string} server */
  bootstrap(m, server) {
    this.held.clear();
    this.gaps = []; // Those that reach into its window follow.
    this.newest = -Infinity;
    this.ready = true;
    this.read(m, server, 'bootstrap');
  }

  /** @param {any} m @param {string} server */
  update(m, server) {
    if (!this.ready) this.report('root', 'an update before the bootstrap');
    if (m.x?.length === 0) this.report('root', 'an empty update');
    this.read(m, server, 'update');
  }

  /** @param {any} m */
  gap(m) {
    this.messages++;
    if (!this.ready) this.report('root', 'a gap before the bootstrap');
    const from = this.time(m?.from);
    const to = this.time(m?.to);
    if (!(from < to) || typeof m.reason !== 'string') this.report('root', `gap ${JSON.stringify(m)}`);
    this.gaps.push({ from, to });
  }

  /** @param {any} m @param {string} server @param {string} kind */
  read(m, server, kind) {
    this.messages++;
    if (!Array.isArray(m.x) || !Array.isArray(m.y) || m.x.length !== m.y.length) {
      this.report('root', `${kind} ${JSON.stringify(m).slice(0, 200)}`);
      return;
    }
    for (let i = 0; i < m.x.length; i++) {
      const t = this.time(m.x[i]);
      this.compared++;
      if (t <= this.newest) this.report('root', `${m.x[i]} in ${kind} is not newer than ${this.newest}`);
      this.newest = t;
      const sample = this.series.at(t);
      const allowed = sample ? candidates(sample) : [];
      if (!allowed.some(v => wire(v) === m.y[i])) {
        this.report(
          sample ? 'value' : 'invented',
          `namespace / at ${server}: ${m.x[i]} is ${m.y[i]}, written was ${allowed}`,
        );
      }
      this.held.set(t, m.y[i]);
    }
  }

  /** What the page lacks: all that was acknowledged in order, since the window's begin. @param {number} now */
  lacks(now = Date.now()) {
    const lacks = [];
    for (const s of this.series.between(now - this.window * 1000, now)) {
      if (acknowledgedAt(s) === Infinity || this.held.has(s.t)) continue;
      if (this.gaps.some(g => g.from < s.t && s.t < g.to)) continue;
      if (!this.excuse(this.server, acknowledgedAt(s))) lacks.push(s.t);
    }
    return lacks.sort((a, b) => a - b);
  }
}
