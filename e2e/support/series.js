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
 * The time up to which every series is known to be complete: batches hold all series, so the newest time that
 * all of them have.
 *
 * @param {Held} held
 */
export function completeUntil(held) {
  return Math.min(...[...held.values()].map(samples => samples.at(-1)?.[0] ?? 0));
}

/**
 * Fails unless both hold the same samples of the same series, up to a time.
 *
 * @param {Held} actual
 * @param {Held} expected
 * @param {number} to Unix ms, included
 */
export function assertSame(actual, expected, to) {
  assert.deepEqual([...actual.keys()].sort(), [...expected.keys()].sort(), 'the series');
  for (const [series, samples] of expected) {
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
