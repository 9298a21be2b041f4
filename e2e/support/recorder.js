import assert from 'node:assert/strict';
import { Client } from './client.js';
import { identity } from './series.js';

/** Matches every series. */
export const ALL = '{__name__=~".+"}';

/**
 * A viewer of every series that is no page: it writes down all that it is sent, by a decoder of its own.
 */
export class Recorder extends Client {
  /** @type {Map<number, string>} */
  #ids = new Map();
  /** @type {Map<string, Map<number, number>>} */
  #samples = new Map();

  /** @param {string} url */
  static async open(url, window = 3_600) {
    const recorder = new Recorder(url, '/live');
    await recorder.event('hello');
    await recorder.ask('subscribe', { query: ALL, window, points: 20_000 });
    await recorder.event('bootstrap');
    return recorder;
  }

  /**
   * @override
   * @param {string} name
   * @param {any} argument
   */
  note(name, argument) {
    super.note(name, argument);
    if (name === 'bootstrap' || name === 'update') this.#take(argument);
  }

  #take(/** @type {any} */ { series, blocks }) {
    for (const { id, labels } of series ?? []) this.#ids.set(id, identity(labels));
    for (const [series, samples] of decode(this.#ids, blocks)) {
      const known = this.#samples.get(series) ?? new Map();
      this.#samples.set(series, known);
      for (const [time, value] of samples) {
        assert.equal(known.get(time) ?? value, value, `${series} at ${time} was sent with two values`);
        known.set(time, value);
      }
    }
  }

  /** All that was sent so far. @returns {import('./series.js').Held} */
  samples() {
    return new Map(
      [...this.#samples].map(([series, samples]) => [series, [...samples].sort(([a], [b]) => a - b)]),
    );
  }
}

/**
 * Reads the whole history of every series, over a connection of its own.
 *
 * @param {string} url
 * @param {number} to Unix ms, included
 * @returns {Promise<import('./series.js').Held>}
 */
export async function history(url, to) {
  const client = new Client(url, '/live');
  try {
    await client.event('hello');
    const request = { query: ALL, from: to - 3_600_000, to, points: 20_000 };
    const { series, blocks } = await client.ask('history', request);
    const ids = new Map(series.map((/** @type {any} */ { id, labels }) => [id, identity(labels)]));
    return decode(ids, blocks);
  } finally {
    client.close();
  }
}

/**
 * @param {Map<number, string>} ids
 * @param {any[]} blocks
 * @returns {import('./series.js').Held}
 */
function decode(ids, blocks) {
  /** @type {import('./series.js').Held} */
  const held = new Map();
  for (const { ids: rows, x, y } of blocks) {
    assert.ok(Array.isArray(x), 'a raw block: the tests ask for more points than there are');
    rows.forEach((/** @type {number} */ id, /** @type {number} */ row) => {
      const series = ids.get(id);
      assert.ok(series, `id ${id} was never explained`);
      assert.equal(y[row].length, x.length, 'a value for each time');
      const samples = held.get(series) ?? [];
      held.set(series, samples);
      x.forEach((/** @type {number} */ time, /** @type {number} */ i) => {
        samples.push([time, y[row][i] ?? Number.NaN]);
      });
    });
  }
  return held;
}
