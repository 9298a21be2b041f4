import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { scene } from '../support/scene.js';
import { until } from '../support/until.js';
import { WAYS } from './support/judge.js';
import { NODE_CLIENTS } from './support/runtimes.js';

/** What a page may have buffered while the server was away: 100 pass at once, then 50 a second. */
const BUFFERED = 300;

const ASK = fileURLToPath(new URL('support/ask.py', import.meta.url));

for (const { version, io } of NODE_CLIENTS) {
  test(
    `socket.io-client ${version}: ${BUFFERED} requests that were buffered are all answered, on one connection`,
    scene(async scene => {
      const program = await scene.start();
      const asking = WAYS.map(({ way, transports }) => ({
        way,
        ...ask(io, program.url, transports, BUFFERED, true),
      }));
      for (const { close } of asking) scene.closing(close);
      for (const { way, seen } of asking) {
        await until(`every request over ${way} to be answered`, async () => seen.answered === BUFFERED).catch(
          error => {
            throw new Error(`${error.message}: ${seen.answered}, ${seen.disconnected}`);
          },
        );
        const { codes, ...counts } = seen;
        assert.deepEqual(counts, { connected: 1, disconnected: [], answered: BUFFERED }, way);
        assertCarriedOut(codes, way);
      }
    }),
  );
}

test(
  'a page that asks for far too much on each connect is closed once in ten seconds, and not in a loop',
  scene(async scene => {
    const program = await scene.start();
    const [{ io }] = NODE_CLIENTS;
    const clients = WAYS.map(({ transports }) => ask(io, program.url, transports, 2_000, false));
    for (const { close } of clients) scene.closing(close);
    await sleep(20_000);
    for (const [i, { seen }] of clients.entries()) {
      const { codes: _, ...counts } = seen;
      assert.ok(counts.disconnected.length <= 2, `${WAYS[i].way}: ${JSON.stringify(counts)}`);
      assert.ok(counts.answered >= 500, `${WAYS[i].way}: ${JSON.stringify(counts)}`);
    }
  }),
);

test(
  'python3-socketio: 32 rooms that are joined at once over polling are joined, and 300 requests answered',
  scene(async scene => {
    const program = await scene.start();
    const rooms = Array.from({ length: 32 }, (_, i) => ({ query: `load1{x!="${i}"}`, points: 8 }));
    const histories = Array.from({ length: BUFFERED }, () => history());
    for (const transport of ['polling', 'websocket']) {
      for (const [event, requests] of /** @type {const} */ ([
        ['subscribe', rooms],
        ['history', histories],
      ])) {
        const { stdout } = await promisify(execFile)('/usr/bin/python3', [
          '-s',
          ASK,
          program.url,
          transport,
          event,
          JSON.stringify(requests),
        ]);
        const { took, codes, ...seen } = JSON.parse(stdout);
        const what = `${event} over ${transport}, ${took} s`;
        assert.deepEqual(seen, { answered: requests.length, connected: 1, alive: true }, what);
        assertCarriedOut(codes, what);
      }
    }
  }),
);

/**
 * Most requests succeed. Of histories that are asked for at once, some may be answered with the advice to try again.
 *
 * @param {readonly string[]} codes of the answers, 'ok' among them
 * @param {string} what
 */
function assertCarriedOut(codes, what) {
  const other = codes.filter(code => code !== 'ok' && code !== 'overloaded');
  assert.deepEqual(other, [], what);
  assert.ok(codes.filter(code => code === 'ok').length >= codes.length / 2, `${what}: ${codes}`);
}

/** A small history, of which many can be asked for. */
function history() {
  const now = Date.now();
  return { query: 'load1', from: now - 10_000, to: now, points: 8 };
}

/**
 * Has a client ask `n` times: before it is connected, so that it buffers the requests, or on each connection.
 *
 * @param {any} io the client's entry point
 * @param {string} url
 * @param {readonly string[]} transports
 * @param {number} n
 * @param {boolean} before
 */
function ask(io, url, transports, n, before) {
  const socket = io(`${url}/live`, { transports, forceNew: true });
  const seen = {
    connected: 0,
    disconnected: /** @type {string[]} */ ([]),
    answered: 0,
    codes: /** @type {string[]} */ ([]),
  };
  const send = () => {
    for (let i = 0; i < n; i++) {
      socket.emit('history', history(), (/** @type {any} */ { ok, error }) => {
        seen.answered++;
        seen.codes.push(ok ? 'ok' : error.code);
      });
    }
  };
  socket.on('connect', () => {
    seen.connected++;
    if (!before) send();
  });
  socket.on('disconnect', (/** @type {string} */ reason) => seen.disconnected.push(reason));
  if (before) send();
  return { seen, close: () => socket.disconnect() };
}
