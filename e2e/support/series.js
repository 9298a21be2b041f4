import assert from 'node:assert/strict';

/**
 * Series by their identity, each as [time, value] pairs, ascending.
 *
 * @typedef {Map<string, (readonly [number, number])[]>} Held
 */

/**
 * The same text for the same labels, however they are ordered.
 *
 * @param {Readonly<Record<string, string>>} labels
 */
export function identity(labels) {
  return JSON.stringify(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/**
 * Whether a series is measured every 10 s only, whatever the interval.
 *
 * @param {Readonly<Record<string, string>>} labels
 */
export function isRare({ __name__: name = '' }) {
  return /^(filesystem_|temperature_|processes$)/.test(name);
}

/**
 * Fails unless times ascend strictly.
 *
 * @param {string} series
 * @param {readonly number[]} times
 */
export function ascending(series, times) {
  for (let i = 1; i < times.length; i++) {
    const [before, time] = [times[i - 1] ?? 0, times[i] ?? 0];
    assert.ok(before < time, `${series}: ${time} follows ${before}`);
  }
}

/**
 * The time up to which every series is known to be complete: batches hold all series that are measured every time, so
 * the newest time that all of them have.
 *
 * @param {Held} held
 */
export function completeUntil(held) {
  return Math.min(...[...always(held).values()].map(samples => samples.at(-1)?.[0] ?? 0));
}

/** The series that are measured every time. @param {Held} held */
function always(held) {
  return new Map([...held].filter(([series]) => !isRare(Object.fromEntries(JSON.parse(series)))));
}

/**
 * Fails unless both hold the same samples of the same series, up to a time. Series that are measured every 10 s only do
 * not count: they may come at any moment between one look and the other.
 *
 * @param {Held} actual
 * @param {Held} expected
 * @param {number} to Unix ms, included
 */
export function assertSame(actual, expected, to) {
  assert.deepEqual([...always(actual).keys()].sort(), [...always(expected).keys()].sort(), 'the series');
  for (const [series, samples] of always(expected)) {
    const upTo = (/** @type {readonly (readonly [number, number])[]} */ list) =>
      list.filter(([time]) => time <= to);
    assert.deepEqual(upTo(actual.get(series) ?? []), upTo(samples), series);
  }
}

/**
 * Fails unless `whole` has every sample of `part`.
 *
 * @param {Held} whole
 * @param {Held} part
 */
export function assertHolds(whole, part) {
  for (const [series, samples] of part) {
    const have = new Map(whole.get(series));
    for (const [time, value] of samples) {
      assert.ok(have.has(time), `${series} at ${time} is missing`);
      assert.equal(have.get(time), value, `${series} at ${time}`);
    }
  }
}
