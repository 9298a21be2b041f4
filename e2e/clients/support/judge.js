import assert from 'node:assert/strict';
import { ascending, identity } from '../../support/series.js';

/** What is watched on `/live`; namespace `/` has it by default. */
export const QUERY = 'cpu_usage_percent{cpu="total"}';

/** The ways to be connected, by the transports that a client is told to use. */
export const WAYS = /** @type {const} */ ([
  { way: 'WebSocket', transports: ['websocket'] },
  { way: 'polling', transports: ['polling'] },
  { way: 'polling, then WebSocket', transports: ['polling', 'websocket'] },
]);

/**
 * What happened since the viewer's last connection was opened.
 *
 * @param {readonly Entry[]} log
 */
export function lastConnection(log) {
  return log.slice(
    Math.max(
      0,
      log.findLastIndex(entry => entry.event === 'open'),
    ),
  );
}

/**
 * Reports whether a viewer has seen enough of its last connection to be judged: it is where it should be, and
 * has had updates there in both namespaces.
 *
 * @param {readonly Entry[]} log
 * @param {Way} way
 */
export function isSettled(log, way) {
  let current = lastConnection(log);
  if (current.some(isFailure)) return false;
  if (isUpgrading(way)) {
    const upgraded = current.findIndex(entry => entry.event === 'upgrade');
    if (upgraded < 0) return false;
    current = current.slice(upgraded);
  }
  return ['/', '/live'].every(namespace => events(current, namespace).filter(is('update')).length >= 10);
}

/**
 * Fails unless every connection of a viewer was what docs/PROTOCOL.md promises, in that order, over the
 * transports that it was told to use.
 *
 * @param {readonly Entry[]} log
 * @param {Way} way
 */
export function assertOrder(log, way) {
  for (const connection of connections(log)) {
    const names = (/** @type {string} */ namespace) =>
      events(connection, namespace)
        .map(entry => entry.event)
        .join(' ');
    assert.match(names('/'), /^connect bootstrap( update)+$/);
    assert.match(names('/live'), /^connect hello answer bootstrap( update| status)+( bye)?$/);
    assert.equal(names(''), isUpgrading(way) ? 'open upgrade' : 'open');

    const upgraded = connection.findIndex(is('upgrade'));
    for (const [i, { event, over }] of connection.entries()) {
      const expected = upgraded >= 0 && i >= upgraded ? 'websocket' : way.transports[0];
      assert.equal(over, expected, `${event}, the connection's entry ${i}`);
    }
  }
}

/**
 * What a page would show that does with namespace `/` as its contract says: the last bootstrap and everything
 * after it, put one after the other. Fails unless times ascend strictly, that is: nothing came twice.
 *
 * @param {readonly Entry[]} log
 */
export function shownByRoot(log) {
  const root = events(log, '/').filter(entry => entry.argument?.x);
  const shown = root.slice(root.findLastIndex(is('bootstrap'))).flatMap(({ argument: { x, y } }) => {
    assert.equal(x.length, y.length);
    return x.map((/** @type {string} */ time, /** @type {number} */ i) => sample(+new Date(time), y[i]));
  });
  return single('/', shown);
}

/**
 * What a page would show that follows the rules of `/live`, over all of the viewer's connections.
 *
 * @param {readonly Entry[]} log
 */
export function shownByLive(log) {
  /** @type {Map<number, number>} */
  const shown = new Map();
  for (const connection of connections(log)) {
    const ids = new Map();
    for (const { event, argument } of events(connection, '/live')) {
      if (event !== 'bootstrap' && event !== 'update') continue;
      if (argument.from === null) shown.clear();
      for (const { id, labels } of argument.series ?? []) ids.set(id, identity(labels));
      assert.equal(ids.size, 1, `one series matches ${QUERY}`);
      for (const block of argument.blocks) {
        assert.ok(Array.isArray(block.x), 'a raw block');
        block.ids.forEach((/** @type {number} */ id, /** @type {number} */ row) => {
          assert.ok(ids.has(id), `id ${id} was explained`);
          block.x.forEach((/** @type {number} */ time, /** @type {number} */ i) => {
            shown.set(...sample(time, block.y[row][i]));
          });
        });
      }
    }
  }
  return single(
    '/live',
    [...shown].sort(([a], [b]) => a - b),
  );
}

/**
 * The series that matches QUERY, out of all.
 *
 * @param {import('../../support/series.js').Held} all
 * @returns {Samples}
 */
export function total(all) {
  const [, samples] = [...all].find(([series]) => series.includes('["cpu","total"]')) ?? [];
  assert.ok(samples, QUERY);
  return samples;
}

/**
 * Fails unless `shown` is all that there is from its first time to its last.
 *
 * @param {Samples} shown
 * @param {Samples} all
 */
export function assertWhole(shown, all) {
  const [from, to] = [shown[0]?.[0] ?? 0, shown.at(-1)?.[0] ?? 0];
  assert.deepEqual(
    shown,
    all.filter(([time]) => from <= time && time <= to),
  );
}

/**
 * Reports whether a connection failed or ended.
 *
 * @param {Entry} entry
 */
export function isFailure({ event }) {
  return event === 'connect_error' || event === 'error' || event === 'disconnect';
}

/** @param {Way} way */
function isUpgrading(way) {
  return way.transports.length > 1;
}

/** @param {string} event */
function is(event) {
  return (/** @type {Entry} */ entry) => entry.event === event;
}

/**
 * @param {readonly Entry[]} log
 * @param {string} namespace
 */
function events(log, namespace) {
  return log.filter(entry => entry.namespace === namespace);
}

/**
 * What happened on each of a viewer's connections while it was open. How it ended, and what went wrong until the
 * next was open, is left out: clients differ in what they say about that.
 *
 * @param {readonly Entry[]} log
 */
function connections(log) {
  const starts = log.flatMap((entry, i) => (entry.event === 'open' ? [i] : []));
  return starts.map((start, i) => {
    const connection = log.slice(start, starts[i + 1]);
    const end = connection.findIndex(isFailure);
    return end < 0 ? connection : connection.slice(0, end);
  });
}

/**
 * @param {number} time
 * @param {number | null} value
 * @returns {[number, number]}
 */
function sample(time, value) {
  return [time, value ?? Number.NaN];
}

/**
 * @param {string} namespace
 * @param {Samples} samples
 */
function single(namespace, samples) {
  ascending(
    namespace,
    samples.map(([time]) => time),
  );
  return samples;
}

/** @typedef {import('./watch.js').Entry} Entry */
/** @typedef {(typeof WAYS)[number]} Way */
/** @typedef {readonly (readonly [number, number])[]} Samples */
