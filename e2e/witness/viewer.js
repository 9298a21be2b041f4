// A viewer: one connection with the official client, in /live with several rooms, and on the way in / too.

import { Manager } from 'socket.io-client';
import { Page, short } from './page.js';

/** @param {number} ms */
export const sleep = ms => new Promise(resolve => setTimeout(resolve, ms));

/**
 * @typedef {object} World
 * @property {import('./truth.js').Truth} truth
 * @property {import('./stage.js').Stage} stage
 * @property {(rule: string, where: string, detail: string, log?: string[]) => void} violation
 * @property {(text: string) => void} open
 * @property {(server: string, reason: string, keys: string[]) => string | undefined} gapCause
 * @property {() => boolean} calm no fault is under way and none was a moment ago
 * @property {import('./losses.js').Losses} losses
 * @property {number} limit series that a room sends
 * @property {boolean} lie viewers lose an update now and then, which the judge must see
 */

export class Viewer {
  /**
   * @param {World} world @param {string} name @param {import('./random.js').Random} random
   * @param {{ transports: string[], root?: import('./root.js').RootPage }} o
   */
  constructor(world, name, random, { transports, root }) {
    this.world = world;
    this.name = name;
    this.random = random;
    this.transports = transports;
    this.root = root;
    /** @type {Map<string, Page>} rooms that this viewer wants to be in, by the text of the selector */
    this.pages = new Map();
    /** @type {Map<string, Page>} by id, of this connection */
    this.rooms = new Map();
    /** @type {Set<string>} ids of rooms that were left on this connection */
    this.left = new Set();
    /** @type {any} */
    this.socket = undefined;
    /** @type {any} */
    this.manager = undefined;
    this.server = world.stage.servers[0];
    this.life = 0;
    this.greeted = false;
    this.wanted = false;
    this.paused = false;
    this.pausedAt = 0;
    /** Rooms do not matter. */
    this.deaf = false;
    this.connections = 0;
    /** Answers and messages. */
    this.heard = 0;
    this.counts = { resume: 0, lost: 0, slow: 0, join: 0, parts: 0, gaps: 0, status: 0, updates: 0 };
    /** @type {Set<Page>} */
    this.asking = new Set();
    /** @type {Map<string, Record<string, string>> | undefined} */
    this.catalogue = undefined;
    /** @type {string[] | undefined} */
    this.catalogueMatch = undefined;
  }

  /** @param {string} rule @param {string} detail @param {Page} [page] */
  violation(rule, detail, page) {
    this.world.violation(rule, `${this.name} at ${this.server.name}`, detail, page?.log.slice(-20));
  }

  /** @param {import('./selector.js').Selector} selector @param {number} window @param {number} points */
  async join(selector, window, points) {
    let page = this.pages.get(selector.text);
    if (!page) {
      /** @type {Page} */
      const fresh = new Page({
        selector,
        window,
        points,
        truth: this.world.truth,
        report: (rule, detail) => this.violation(rule, detail, fresh),
        open: this.world.open,
        cause: (reason, server, keys) => this.world.gapCause(server, reason, keys),
        excuse: (series, acknowledged, sample) =>
          this.world.losses.excuse(this.server.name, series, acknowledged, sample),
        judging: () => this.world.losses.judging(),
      });
      page = fresh;
      this.pages.set(selector.text, page);
    }
    await this.subscribe(page, { window, points });
    return page;
  }

  /** @param {import('./stage.js').Server} [server] */
  async connect(server) {
    this.wanted = true;
    if (server) this.server = server;
    this.drop();
    const life = ++this.life;
    this.connections++;
    const manager = new Manager(this.server.url, {
      transports: /** @type {any} */ (this.transports),
      reconnection: false,
      forceNew: true,
      timeout: 8000,
      autoConnect: false,
    });
    this.manager = manager;
    const socket = manager.socket('/live');
    this.socket = socket;
    this.greeted = false;
    const mine = () => this.life === life;
    const name = this.server.name;
    const again = (/** @type {number} */ wait) => {
      if (!mine() || !this.wanted) return;
      this.drop();
      const l = this.life;
      setTimeout(() => {
        if (this.wanted && this.life === l)
          this.connect(this.world.stage.other(this.server, this.random)).catch(() => {});
      }, wait);
    };
    socket.on('hello', (/** @type {any} */ hello) => {
      if (!mine()) return;
      if (
        hello?.protocol !== 1 ||
        !Number.isInteger(hello.now) ||
        hello.limits?.series !== this.world.limit
      ) {
        this.violation('answer', `hello ${short(hello)}`);
      }
      this.greeted = true;
      for (const page of this.pages.values()) this.subscribe(page, {}).catch(() => {});
      if (this.catalogueMatch) this.askCatalogue().catch(() => {});
    });
    /** @param {any} m @param {string} event */
    const page = (m, event) => {
      this.heard++;
      if (!this.greeted) this.violation('answer', `${event} before hello`);
      const found = this.rooms.get(m.room);
      if (found) return found;
      if (this.deaf || this.left.has(m.room)) return undefined; // "Updates already under way may still arrive."
      this.violation('ack', `${event} of ${m.room}, which was not acknowledged: ${short(m)}`);
      return undefined;
    };
    socket.on('bootstrap', (/** @type {any} */ m) => {
      if (!mine()) return;
      const p = page(m, 'bootstrap');
      if (!p) return;
      if (p.part) this.counts.parts++;
      else this.counts[/** @type {'join'} */ (m.reason)]++;
      p.bootstrap(m, name);
    });
    socket.on('update', (/** @type {any} */ m) => {
      if (!mine()) return;
      this.counts.updates++;
      if (this.world.lie && this.random.chance(0.01)) return;
      page(m, 'update')?.update(m, name);
    });
    socket.on('gap', (/** @type {any} */ m) => {
      if (!mine()) return;
      this.counts.gaps++;
      page(m, 'gap')?.gap(m, name);
    });
    socket.on('status', (/** @type {any} */ m) => {
      if (!mine()) return;
      this.counts.status++;
      page(m, 'status')?.setStatus(m, Date.now() - this.pausedAt > 10_000);
    });
    socket.on('catalogue', (/** @type {any} */ m) => {
      if (!mine() || !this.catalogue) return;
      for (const labels of m.added ?? []) this.catalogue.set(JSON.stringify(labels), labels);
      for (const labels of m.gone ?? []) this.catalogue.delete(JSON.stringify(labels));
    });
    socket.on('bye', (/** @type {any} */ m) => {
      if (!mine()) return;
      if (!Number.isFinite(m?.retry_ms)) this.violation('answer', `bye ${short(m)}`);
      again(m.retry_ms);
    });
    socket.on('disconnect', () => again(this.random.int(50, 500)));
    socket.on('connect_error', () => again(300));
    manager.on('error', () => again(300));
    if (this.root) this.root.attach(manager.socket('/'), name, mine);
    socket.connect();
  }

  drop() {
    this.life++;
    for (const page of this.pages.values()) page.disconnected();
    this.rooms.clear();
    this.left.clear();
    this.asking.clear();
    this.catalogue = undefined;
    this.greeted = false;
    this.paused = false;
    const { manager } = this;
    this.manager = undefined;
    this.socket = undefined;
    if (!manager) return;
    // The client would ask a server that is stopped to close, and wait; the connection is cut instead.
    const ws = manager.engine?.transport?.ws;
    manager.engine?.close?.();
    manager._close?.();
    ws?.terminate?.();
  }

  leave() {
    this.wanted = false;
    this.drop();
  }

  /**
   * One request; undefined if the connection ended before an answer.
   * @param {string} event @param {unknown} arg
   * @param {(answer: any) => void} [use] called at once: events may follow in the same breath
   */
  async request(event, arg, use) {
    const { socket, life } = this;
    if (!socket) return undefined;
    return new Promise(resolve => {
      let open = true;
      const end = Date.now() + 60_000;
      const poll = setInterval(() => {
        if (this.life !== life) done(undefined);
        else if (Date.now() > end) {
          this.violation('ack', `${event} ${short(arg)} has no answer after 60 s`);
          done(undefined);
        }
      }, 100);
      /** @param {any} answer */
      const done = answer => {
        if (!open) return;
        open = false;
        clearInterval(poll);
        resolve(this.life === life ? answer : undefined);
      };
      socket.emit(event, arg, (/** @type {any} */ answer) => {
        if (this.life !== life) return done(undefined);
        if (typeof answer?.ok !== 'boolean')
          this.violation('answer', `${event} ${short(arg)}: ${short(answer)}`);
        if (answer?.ok) use?.(answer);
        done(answer);
      });
    });
  }

  /** @param {Page} page @param {{ window?: number, points?: number, since?: string, spelling?: string }} o */
  async subscribe(page, { window = page.window, points = page.points, since, spelling }) {
    const { socket, life } = this;
    if (!socket || !this.greeted || this.asking.has(page)) return;
    this.asking.add(page);
    // A resume is asked for what the page has: the whole old window. A change asks for everything anew.
    const from = since ?? (this.rooms.get(page.room) === page && page.ready ? '' : page.position);
    const fresh =
      from !== '' &&
      this.world.calm() &&
      !this.world.losses.judging() &&
      page.seen !== undefined &&
      Date.now() - page.seen < 8000 &&
      this.server.upSince < page.seen;
    const arg = { query: spelling ?? page.selector.text, window, points, ...(from ? { since: from } : {}) };
    const at = Date.now();
    const stale = setInterval(() => {
      if (this.life !== life) {
        clearInterval(stale);
        this.asking.delete(page);
      }
    }, 200);
    socket.emit('subscribe', arg, (/** @type {any} */ ack) => {
      clearInterval(stale);
      if (this.life !== life) return;
      this.heard++;
      this.asking.delete(page);
      if (ack?.ok === true) {
        if (typeof ack.room !== 'string' || !Number.isInteger(ack.matched) || !Number.isInteger(ack.sent)) {
          this.violation('answer', `subscribe ${short(arg)}: ${short(ack)}`, page);
        }
        if (!this.pages.has(page.selector.text)) return;
        this.rooms.set(ack.room, page);
        this.left.delete(ack.room);
        page.subscribed(ack, { since: from, window, points, at, fresh });
        if (ack.sent > this.world.limit) this.violation('matched', short(ack), page);
        return;
      }
      const code = ack?.error?.code;
      // "After a refusal the page is not in the room."
      if (page.room) {
        this.rooms.delete(page.room);
        this.left.add(page.room);
      }
      page.disconnected();
      if (code !== 'not_ready' && code !== 'overloaded') {
        this.violation('answer', `subscribe ${short(arg)}: ${short(ack)}`, page);
        return;
      }
      setTimeout(() => {
        if (this.life === life) this.subscribe(page, {}).catch(() => {});
      }, 300);
    });
  }

  /** @param {Page} page @param {boolean} forget */
  async unsubscribe(page, forget) {
    if (!page.room || this.asking.has(page)) return;
    const { room } = page;
    if (this.rooms.get(room) !== page) return;
    this.rooms.delete(room);
    this.left.add(room);
    page.disconnected();
    if (forget) this.pages.delete(page.selector.text);
    const answer = await this.request('unsubscribe', { room });
    if (answer && answer.ok !== true) this.violation('answer', `unsubscribe ${room}: ${short(answer)}`);
  }

  async askCatalogue() {
    const answer = await this.request('catalogue', { match: this.catalogueMatch }, a => this.knows(a));
    if (!answer || answer.ok === true) return;
    if (answer.error?.code !== 'not_ready' && answer.error?.code !== 'overloaded')
      this.violation('answer', `catalogue: ${short(answer)}`);
  }

  /** @param {any} answer to a request for the catalogue */
  knows(answer) {
    this.catalogue = new Map(
      answer.series.map((/** @type {any} */ labels) => [JSON.stringify(labels), labels]),
    );
  }

  /** Stops and starts reading the socket; false where that cannot be done. @param {boolean} paused */
  pause(paused) {
    const tcp = this.manager?.engine?.transport?.ws?._socket;
    if (!tcp) return false;
    if (paused) tcp.pause();
    else tcp.resume();
    this.paused = paused;
    this.pausedAt = Date.now();
    return true;
  }

  /** Everything that was asked for has come. */
  settled() {
    if (!this.wanted) return true;
    if (!this.greeted || this.asking.size > 0) return false;
    for (const page of this.pages.values()) {
      if (this.rooms.get(page.room) !== page || !page.rest()) return false;
    }
    return true;
  }

  why() {
    if (!this.greeted) return 'not connected';
    return [...this.pages.values()]
      .filter(p => this.rooms.get(p.room) !== p || !p.rest())
      .map(
        p =>
          `${p.selector.text}: asking ${this.asking.has(p)} in ${this.rooms.get(p.room) === p} ready ${p.ready} part ${Boolean(p.part)} asked ${p.asked.length}; ${p.log.slice(-25).join('\n    ')}`,
      )
      .join('; ');
  }
}
