import assert from 'node:assert/strict';
import { ascending, identity, isRare } from './series.js';
import { PATIENCE, until } from './until.js';

/**
 * What Chromium says of a server that is not there, on the console and of its requests: the page tries WebSocket and
 * then polling. Nobody can keep it from saying so.
 */
const CONNECTION_FAILED = [
  /^WebSocket connection to 'ws:\/\/127\.0\.0\.1:\d+\/socket\.io\/\S*' failed/,
  /^request failed: http:\/\/127\.0\.0\.1:\d+\/socket\.io\/\S* net::ERR_/,
  // What is seldom needed is fetched a while after the page: the server may be gone by then.
  /^request failed: http:\/\/127\.0\.0\.1:\d+\/assets\/seldom-\S* net::ERR_/,
  /^Failed to load resource: net::ERR_/,
];

/** A tab in which nothing may go wrong: it remembers whatever does. */
export class Tab {
  /** @type {string[]} */
  #problems = [];
  #outage = false;
  /** WebSocket frames with the server, in order. */
  frames = /** @type {Frame[]} */ ([]);

  /** @param {import('playwright-core').Page} page */
  constructor(page) {
    this.page = page;
  }

  /**
   * Watches `page` from before its first document.
   *
   * @param {import('playwright-core').Page} page
   */
  static async watch(page) {
    const tab = new Tab(page);
    // The console says it too, mostly; the event says it always, and names the rule.
    await page.addInitScript(() => {
      document.addEventListener('securitypolicyviolation', e => {
        console.error(`policy violation: ${e.effectiveDirective} ${e.blockedURI} ${e.sourceFile}`);
      });
    });
    page.on('console', message => {
      if (['error', 'warning', 'assert'].includes(message.type())) tab.#problem(message.text());
    });
    page.on('pageerror', error => tab.#problem(`uncaught: ${error.stack ?? error}`));
    page.on('requestfailed', r => {
      // A reload right after the page has come stops the browser from fetching what nothing waits for.
      const stopped =
        r.failure()?.errorText === 'net::ERR_ABORTED' &&
        /\/assets\/(icon-[^/]*\.svg|seldom-[^/]*\.js)$/.test(r.url());
      if (!stopped) tab.#problem(`request failed: ${r.url()} ${r.failure()?.errorText}`);
    });
    page.on('response', r => {
      if (r.status() >= 400) tab.#problem(`${r.status()} ${r.url()}`);
    });
    page.on('websocket', socket => {
      socket.on('framesent', ({ payload }) => tab.frames.push({ sent: true, text: String(payload) }));
      socket.on('framereceived', ({ payload }) => tab.frames.push({ sent: false, text: String(payload) }));
    });
    return tab;
  }

  /** Says that from here on the server goes away on purpose: failing to reach it is no problem. */
  expectOutage() {
    this.#outage = true;
  }

  /** Fails when anything went wrong so far. */
  assertClean() {
    assert.deepEqual(this.#problems, [], 'the console and the network of the page');
  }

  #problem(/** @type {string} */ text) {
    if (this.#outage && CONNECTION_FAILED.some(form => form.test(text))) return;
    this.#problems.push(text);
  }

  // --- The page's own view of what it holds -----------------------------------

  rooms() {
    return this.page.evaluate(() => window.stripchart.rooms());
  }

  condition() {
    return this.page.evaluate(() => window.stripchart.condition());
  }

  /**
   * What the page holds of every series, as [time, value] pairs. Fails unless times ascend strictly, that is:
   * each sample once, in order.
   */
  async samples() {
    /** @type {import('./series.js').Held} */
    const held = new Map();
    for (const room of await this.rooms()) {
      for (const { labels, step, data } of room.series) {
        assert.equal(step, null, `${identity(labels)} is folded, which this test does not expect`);
        const [times, values] = data;
        ascending(identity(labels), times);
        held.set(
          identity(labels),
          times.map((time, i) => [time, /** @type {number} */ (values[i])]),
        );
      }
    }
    return held;
  }

  /** Times that the page holds of the large chart's line; empty while there is none. */
  async times() {
    return (await this.timesOfCharts())[0] ?? [];
  }

  /** The same of the first line of each chart. */
  async timesOfCharts() {
    return (await this.rooms()).map(({ series }) => [...(series[0]?.data[0] ?? [])]);
  }

  /**
   * Waits until the page is in a state.
   *
   * @param {import('../../web/src/model/condition.ts').Condition['kind']} kind
   * @param {number} [within] ms
   */
  async untilCondition(kind, within = PATIENCE) {
    await until(`the page to be ${kind}`, async () => (await this.condition()).kind === kind, within);
  }

  /**
   * Waits until the large chart has at least `count` samples newer than `after` (Unix ms). Returns all its times.
   * Where `after` is given, every other line that is measured every time has a newer one too: each chart is a room that joins on its own, so
   * one chart says nothing of another.
   *
   * @param {number} count
   */
  async untilSamples(count, after = 0) {
    return until(`${count} samples on the large chart`, async () => {
      const times = await this.times();
      const rooms = await this.rooms();
      const whole =
        after === 0 ||
        rooms.every(
          ({ series }) =>
            series.length > 0 &&
            series.every(({ labels, data }) => isRare(labels) || (data[0].at(-1) ?? 0) > after),
        );
      return whole && times.filter(time => time > after).length >= count && times;
    });
  }
}

/** @typedef {{ readonly sent: boolean, readonly text: string }} Frame */
