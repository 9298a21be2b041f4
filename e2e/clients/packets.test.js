import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { text as readAll } from 'node:stream/consumers';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { startChild } from '../support/children.js';
import { launch } from '../support/chromium.js';
import { ROOT } from '../support/paths.js';
import { scene } from '../support/scene.js';
import { until } from '../support/until.js';
import { converse } from './support/converse.js';
import { WAYS } from './support/judge.js';
import { freePort } from './support/port.js';
import { BROWSER_CLIENTS, NODE_CLIENTS, openPage } from './support/runtimes.js';

/** What old protocols had trouble with: characters of two, three and four bytes, and their own separators. */
const TEXT = 'Größe ≥ 4 °C, 温度, 🌡, 3:4, "quoted"\n\u001e\\ ';

/** Every byte there is, in more of them than a short frame holds. */
const BYTES = Array.from({ length: 70_000 }, (_, i) => i % 256);

/** What `converse` notes instead. */
const BINARY = { bytes: BYTES };

/** The fixture's heartbeats. A client that waits for them in vain gives up after both times, as the fixture does. */
const HEARTBEATS = ['--ping-interval', '1s', '--ping-timeout', '4s'];

/** How long a connection has to live, ms: longer than it would without heartbeats. */
const LIVES = 6_500;

/**
 * The product sends no binary, has heartbeats that no test could wait for, and is asked little. So here it is
 * the fixture of internal/socketio that is talked to: the same server with other handlers and times.
 */
test(
  'every client: text of any kind, binary and acknowledgements as they were sent, and heartbeats',
  scene(async scene => {
    const url = await startFixture(scene);
    const browser = await launch();
    scene.closing(() => browser.close());

    const clients = [];
    for (const { version, script } of BROWSER_CLIENTS) {
      const { page } = await openPage(scene, browser, url, await script());
      for (const { way, transports } of WAYS) {
        const options = JSON.stringify({ url, transports, text: TEXT, bytes: BYTES });
        const client = await page.evaluateHandle(`(${converse})(io, ${options})`);
        clients.push({
          what: `${version} in Chromium, ${way}`,
          progress: () => client.evaluate((/** @type {any} */ { progress }) => progress()),
          answers: () => client.evaluate((/** @type {any} */ { answers }) => answers()),
        });
      }
    }
    for (const { version, io } of NODE_CLIENTS) {
      for (const { way, transports } of WAYS) {
        const client = converse(io, { url, transports, text: TEXT, bytes: BYTES });
        scene.closing(client.close);
        clients.push({ what: `${version} in Node.js, ${way}`, ...client });
      }
    }

    for (const { what, progress, answers } of clients) {
      const isDone = async () => {
        const seen = await progress();
        return seen.answers >= 2 && seen.lived >= LIVES;
      };
      await until(`${what} to be answered, and to live`, isDone, 15_000).catch(async error => {
        throw new Error(`${error.message}\n${JSON.stringify(await progress())}`);
      });
      const { back, acknowledged } = await answers();
      assert.deepEqual(back, [[TEXT, { deep: [BINARY] }, BINARY], [TEXT]], what);
      assert.deepEqual(acknowledged, [[TEXT, 7], [{ deep: [BINARY] }]], what);
    }
  }),
);

/** @param {import('../support/scene.js').Scene} scene */
async function startFixture(scene) {
  const binary = scene.path('conformance');
  await promisify(execFile)('go', ['build', '-o', binary, './internal/socketio/conformance'], { cwd: ROOT });
  const port = await freePort();
  const listen = ['--listen', `127.0.0.1:${port}`];
  const { child, exited } = startChild(binary, ['--suite', 'socket.io', ...listen, ...HEARTBEATS]);
  const said = readAll(/** @type {import('node:stream').Readable} */ (child.stderr));
  scene.closing(async () => {
    child.kill('SIGTERM');
    await exited;
    assert.equal(await said, '', 'the fixture ended well');
  });
  const url = `http://127.0.0.1:${port}/`;
  await until('the fixture to answer', () =>
    fetch(url).then(
      () => true,
      () => false,
    ),
  );
  return url;
}
