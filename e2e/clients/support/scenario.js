import assert from 'node:assert/strict';
import { test } from 'node:test';
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
  total,
  WAYS,
} from './judge.js';
import { startNginx } from './nginx.js';

/** Time between two samples, ms: short, so that some come while a client changes its transport. */
export const INTERVAL = 50;

/** How often the program measures before the first viewer comes: there has to be a history. */
export const HEAD_START = 20;

/**
 * The test of one client.
 *
 * @param {string} name the client's
 * @param {(scene: import('../../support/scene.js').Scene) => Opener} prepare
 */
export function testClient(name, prepare) {
  test(
    `${name}: nothing twice and no hole, in every way, directly and through nginx, also after the server was away`,
    scene(async scene => {
      const { program, nginx, viewers } = await openAll(scene, prepare(scene));
      await judge(program, viewers);
      for (const { what, viewer } of viewers) {
        assert.deepEqual((await viewer.log()).filter(isFailure), [], what);
        viewer.expectOutage?.();
      }

      await program.kill();
      await untilLost(viewers);
      await program.start();
      await judge(program, viewers);

      await program.stop();
      for (const { what, log } of await untilLost(viewers)) {
        const bye = log.find(entry => entry.event === 'bye');
        assert.ok(bye?.argument.retry_ms > 0, `${what} is told of a planned stop`);
      }
      await program.start();
      await judge(program, viewers);

      for (const { viewer } of viewers) await viewer.close();
      await until('nginx to have passed on both transports', async () => {
        const lines = await nginx.answered();
        const has = (/** @type {RegExp} */ form) => lines.some(line => form.test(line));
        return has(/^200 GET \S*transport=polling/) && has(/^101 GET \S*transport=websocket/);
      });
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
  await program.untilMeasured(HEAD_START);
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
 * Waits until every viewer has noticed that the server is away. Returns what happened on the connections that
 * were lost.
 *
 * @param {Viewers} viewers
 */
function untilLost(viewers) {
  return Promise.all(
    viewers.map(async ({ what, viewer }) => {
      const log = await until(`${what} to lose the server`, async () => {
        const log = lastConnection(await viewer.log());
        return log.some(isFailure) && log;
      });
      return { what, log };
    }),
  );
}

/**
 * Waits until every viewer has seen enough, and judges what it has seen so far.
 *
 * @param {import('../../support/program.js').Program} program
 * @param {Viewers} viewers
 */
export async function judge(program, viewers) {
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
        assertWhole(shown, total(await history(program.url, shown.at(-1)?.[0] ?? 0)));
        assert.ok(shown.length >= 0.8 * HEAD_START, 'what was there before it came');
      }
    } catch (error) {
      const { message } = /** @type {Error} */ (error);
      throw new Error(`${what}: ${message}`, { cause: error });
    }
  }
}

/** @typedef {readonly { way: import('./judge.js').Way, what: string, viewer: Viewer }[]} Viewers */

/**
 * A viewer on both namespaces, in whatever it runs.
 *
 * @typedef {object} Viewer
 * @property {() => Promise<import('./watch.js').Entry[]>} log all that has happened so far
 * @property {() => void} [expectOutage] says that from here on the server goes away on purpose
 * @property {() => unknown} close may be called twice
 */

/**
 * Opens a viewer at a site.
 *
 * @typedef {(site: string, transports: readonly string[]) => Promise<Viewer>} Opener
 */
