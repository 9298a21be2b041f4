import { after, before } from 'node:test';
import { launch } from '../support/chromium.js';
import { QUERY } from './support/judge.js';
import { BROWSER_CLIENTS, openPage } from './support/runtimes.js';
import { testClient } from './support/scenario.js';
import { watch } from './support/watch.js';

/** @type {import('playwright-core').Browser} */
let browser;

before(async () => {
  browser = await launch();
});
after(() => browser?.close());

for (const { version, script } of BROWSER_CLIENTS) {
  testClient(`socket.io-client ${version} in Chromium`, scene => {
    /** @type {Map<string, ReturnType<typeof openPage>>} */
    const pages = new Map();
    return async (url, transports) => {
      const opened = pages.get(url) ?? openPage(scene, browser, `${url}/healthz`, await script());
      pages.set(url, opened);
      const { page, assertClean, assertNothingThrown } = await opened;
      const options = JSON.stringify({ url, transports, query: QUERY });
      const viewer = await page.evaluateHandle(`(${watch})(io, ${options})`);
      let check = assertClean;
      return {
        async log() {
          check();
          return viewer.evaluate((/** @type {any} */ { log }) => log);
        },
        expectOutage() {
          // Chromium's console tells of every request that fails, and that cannot be helped.
          check = assertNothingThrown;
        },
        async close() {
          await viewer.evaluate((/** @type {any} */ { close }) => close());
        },
      };
    };
  });
}
