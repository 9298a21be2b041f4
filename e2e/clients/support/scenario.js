import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { history } from '../../support/recorder.js';
import { scene } from '../../support/scene.js';
import { until } from '../../support/until.js';
import {
  assertOrder,
  assertWhole,
  isFailure,
  isSettled,
  lastConnection,
  shownByLive,
  shownByRoot,
  WAYS,
} from './judge.js';
import { startNginx } from './nginx.js';

/** Time between two samples, ms: short, so that some come while a client changes its transport. */
const INTERVAL = 50;

/** How long the program runs before the first viewer comes, ms: there has to be a history. */
const HEAD_START = 1_000;

/**
 * The tests of one client: every way to be connected, directly and through nginx, and again after the server was
 * away.
 *
 * @param {string} name the client's
 * @param {(scene: import('../../support/scene.js').Scene) => Opener} prepare
 */
export function testClient(name, prepare) {
  test(
    `${name}: history and updates without hole or double, in every way, directly and through nginx`,
    scene(async scene => {
      const { program, nginx, viewers } = await openAll(scene, prepare(scene));
      await judge(program, viewers);
      for (const { what, viewer } of viewers) {
        assert.deepEqual((await viewer.log()).filter(isFailure), [], what);
        await viewer.close();
      }
      await until('nginx to have seen both transports', async () => {
        const lines = await nginx.answered();
        const has = (/** @type {RegExp} */ form) => lines.some(line => form.test(line));
        return has(/^200 GET \S*transport=polling/) && has(/^101 GET \S*transport=websocket/);
      });
    }),
  );

  test(
    `${name}: comes back by itself after the server was killed, and after a planned stop`,
    scene(async scene => {
      const { program, viewers } = await openAll(scene, prepare(scene));
      for (const end of /** @type {const} */ (['kill', 'stop'])) {
        await judge(program, viewers);
        await program[end]();
        for (const { what, viewer } of viewers) {
          const closed = await until(`${what} to notice`, async () => {
            const log = lastConnection(await viewer.log());
            return log.some(entry => entry.event === 'disconnect') && log;
          });
          const bye = closed.find(entry => entry.event === 'bye');
          if (end === 'stop') assert.ok(bye?.argument.retry_ms > 0, `${what} is told of a planned stop`);
        }
        await program.start();
      }
      await judge(program, viewers);
    }),
  );
}

/**
 * @param {import('../../support/scene.js').Scene} scene
 * @param {Opener} open
 */
async function openAll(scene, open) {
  const program = await scene.start('--interval', `${INTERVAL}ms`);
  const nginx = await startNginx(scene, program);
  await sleep(HEAD_START);
  const viewers = await Promise.all(
    [
      { site: program.url, by: 'directly' },
      { site: nginx.url, by: 'through nginx' },
    ].flatMap(({ site, by }) =>
      WAYS.map(async way => ({ way, what: `${way.way} ${by}`, viewer: await open(site, way.transports) })),
    ),
  );
  for (const { viewer } of viewers) scene.closing(() => viewer.close());
  return { program, nginx, viewers };
}

/**
 * Waits until every viewer has seen enough, and judges what it has seen so far.
 *
 * @param {import('../../support/program.js').Program} program
 * @param {Awaited<ReturnType<typeof openAll>>['viewers']} viewers
 */
async function judge(program, viewers) {
  for (const { way, what, viewer } of viewers) {
    const log = await until(`${what} to settle`, async () => {
      const log = await viewer.log();
      return isSettled(log, way) && log;
    }).catch(async error => {
      const seen = (await viewer.log()).map(({ namespace, event, over }) => `${namespace} ${event} ${over}`);
      throw new Error(`${error.message}\nits last entries: ${seen.slice(-20).join(', ')}`);
    });
    try {
      assertOrder(log, way);
      for (const shown of [shownByRoot(log), shownByLive(log)]) {
        const all = await history(program.url, shown.at(-1)?.[0] ?? 0);
        const total = [...all].find(([series]) => series.includes('"total"'))?.[1];
        assertWhole(shown, total ?? []);
        assert.ok(shown.length >= (0.8 * HEAD_START) / INTERVAL, 'what was there before it came');
      }
    } catch (error) {
      const { message } = /** @type {Error} */ (error);
      throw new Error(`${what}: ${message}`, { cause: error });
    }
  }
}

/**
 * A viewer on both namespaces, in whatever it runs.
 *
 * @typedef {object} Viewer
 * @property {() => Promise<import('./watch.js').Entry[]>} log all that has happened so far
 * @property {() => unknown} close may be called twice
 */

/**
 * Opens a viewer at a site.
 *
 * @typedef {(site: string, transports: readonly string[]) => Promise<Viewer>} Opener
 */
