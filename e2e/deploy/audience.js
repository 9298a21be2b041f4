import assert from 'node:assert/strict';
import { io } from 'socket.io-client';
import { until } from '../support/until.js';
import { METRIC } from './source.js';

/** How the page reconnects (web/src/live/socket.ts), ms. */
const RECONNECTING = { reconnectionDelay: 500, reconnectionDelayMax: 5_000 };

/** How many viewers join at a time. */
const AT_ONCE = 100;

/**
 * Viewers of the numbered source's room over WebSocket, with the official client. Each does as the page does: it comes
 * back with the position that it has reached, and merges what it is sent.
 *
 * @param {import('../support/scene.js').Scene} scene
 * @param {string} url
 * @param {number} count
 */
export async function openAudience(scene, url, count) {
  /** @type {Viewer[]} */
  const viewers = [];
  scene.closing(() => {
    for (const viewer of viewers) viewer.close();
  });
  while (viewers.length < count) {
    const few = Array.from({ length: Math.min(AT_ONCE, count - viewers.length) }, () => new Viewer(url));
    viewers.push(...few);
    await until(`${viewers.length} viewers to have joined`, () => few.every(viewer => viewer.updates > 0));
  }
  return viewers;
}

export class Viewer {
  /** How many updates came, over all connections. */
  updates = 0;
  /** How many samples came that it held already. */
  repeated = 0;
  /** How often its bootstrap continued from its position, and how often it began anew. */
  resumed = 0;
  joined = 0;
  /** How often its connection was lost. */
  lost = 0;
  /** What must not happen, in words. @type {string[]} */
  faults = [];
  /** By `k`, value by time. @type {Map<string, Map<number, number>>} */
  held = new Map();
  /** The first sample since `await` that is newer than what it names. @type {{ after: number, came: number } | null} */
  #awaited = null;
  #position = '';
  /** `k` by the id that the server gave to the series. @type {Map<number, string>} */
  #ids = new Map();

  /** @param {string} url */
  constructor(url) {
    this.socket = io(`${url}/live`, { transports: ['websocket'], forceNew: true, ...RECONNECTING });
    this.socket.on('connect', () => this.#subscribe());
    this.socket.on('disconnect', () => {
      this.lost += 1;
    });
    this.socket.on('bootstrap', message => this.#bootstrap(message));
    this.socket.on('update', message => {
      this.updates += 1;
      this.#take(message);
    });
    this.socket.on('gap', message => this.faults.push(`gap ${JSON.stringify(message)}`));
  }

  /**
   * Has it watch for the first sample that was measured after a time.
   *
   * @param {number} after Unix ms
   */
  awaitNewerThan(after) {
    this.#awaited = { after, came: 0 };
  }

  /** When the awaited sample came, by performance.now(); 0 if it has not come. */
  get awaitedCame() {
    return this.#awaited?.came ?? 0;
  }

  close() {
    this.socket.disconnect();
  }

  #subscribe() {
    const request = { query: METRIC, window: 600, points: 20_000, since: this.#position };
    this.socket.emit('subscribe', request, (/** @type {any} */ answer) => {
      if (!answer.ok) this.faults.push(`refused: ${JSON.stringify(answer)}`);
    });
  }

  #bootstrap(/** @type {any} */ message) {
    if (message.more) this.faults.push('a bootstrap in parts');
    if (message.from === null) {
      this.joined += 1;
      this.held.clear();
    } else {
      this.resumed += 1;
    }
    this.#ids.clear();
    this.#take(message);
  }

  #take(/** @type {any} */ { series, blocks, position }) {
    for (const { id, labels } of series ?? []) this.#ids.set(id, labels.k);
    for (const { ids, x, y } of blocks) {
      for (const [row, id] of ids.entries()) this.#merge(id, x, y[row]);
    }
    this.#position = position;
  }

  /**
   * @param {number} id
   * @param {readonly number[]} times
   * @param {readonly number[]} values
   */
  #merge(id, times, values) {
    const k = this.#ids.get(id);
    if (k === undefined) return this.faults.push(`id ${id} was never explained`);
    const held = this.held.get(k) ?? new Map();
    this.held.set(k, held);
    times.forEach((time, i) => {
      const value = values[i];
      if (held.has(time)) {
        this.repeated += 1;
        if (held.get(time) !== value)
          this.faults.push(`two values at ${time}: ${held.get(time)} and ${value}`);
        return;
      }
      held.set(time, value);
      const awaited = this.#awaited;
      if (awaited && awaited.came === 0 && time > awaited.after) awaited.came = performance.now();
    });
  }

  /**
   * Fails unless it holds each of these samples of each series, once, and nothing else.
   *
   * @param {number} series how many there are
   * @param {ReadonlyMap<number, number>} acknowledged value by time
   */
  assertHolds(series, acknowledged) {
    assert.deepEqual(this.faults, []);
    assert.equal(this.held.size, series);
    for (const [k, held] of this.held) {
      for (const [time, value] of acknowledged) assert.equal(held.get(time), value, `k=${k} at ${time}`);
      assert.equal(held.size, acknowledged.size, `samples of k=${k}`);
    }
  }
}
