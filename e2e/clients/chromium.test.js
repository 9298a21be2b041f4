import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { after, before } from 'node:test';
import { launch } from '../support/chromium.js';
import { Tab } from '../support/tab.js';
import { QUERY } from './support/judge.js';
import { socketIO136 } from './support/prebuilt.js';
import { testClient } from './support/scenario.js';
import { watch } from './support/watch.js';

const require = createRequire(import.meta.url);

/** @type {import('playwright-core').Browser} */
let browser;

before(async () => {
  browser = await launch();
});
after(() => browser?.close());

for (const name of ['socket.io-client', 'socket.io-client-2']) {
  const manifest = require.resolve(`${name}/package.json`);
  const script = () => readFile(join(dirname(manifest), 'dist', 'socket.io.js'), 'utf8');
  testInChromium(require(manifest).version, script);
}
testInChromium('1.3.6', socketIO136);

/**
 * @param {string} version
 * @param {() => Promise<string>} script the client, as pages load it
 */
function testInChromium(version, script) {
  testClient(`socket.io-client ${version} in Chromium`, scene => {
    /** @type {Map<string, ReturnType<typeof openPage>>} */
    const pages = new Map();
    return async (url, transports) => {
      const opened = pages.get(url) ?? openPage(scene, url, await script());
      pages.set(url, opened);
      const { page, tab, thrown } = await opened;
      const options = { url, transports, query: QUERY };
      const viewer = await page.evaluateHandle(`(${watch})(io, ${JSON.stringify(options)})`);
      let isOutage = false;
      return {
        async log() {
          if (!isOutage) tab.assertClean();
          assert.deepEqual(thrown, [], 'uncaught in the page');
          return viewer.evaluate((/** @type {any} */ { log }) => log);
        },
        expectOutage() {
          isOutage = true;
        },
        async close() {
          await viewer.evaluate((/** @type {any} */ { close }) => close());
        },
      };
    };
  });
}

/**
 * Opens a page of a site's that has nothing but the client. It is a page of the very server, however short, since
 * only those may connect.
 *
 * @param {import('../support/scene.js').Scene} scene
 * @param {string} site
 * @param {string} script
 */
async function openPage(scene, site, script) {
  const context = await browser.newContext();
  scene.closing(() => context.close());
  const page = await context.newPage();
  await page.addInitScript({ content: script });
  // A plain text has no icon, and Chromium would ask for one that is not there.
  await page.addInitScript(() => {
    document.addEventListener('DOMContentLoaded', () => {
      const icon = Object.assign(document.createElement('link'), { rel: 'icon', href: 'data:,' });
      document.head.append(icon);
    });
  });
  const tab = await Tab.watch(page);
  /** @type {string[]} */
  const thrown = [];
  page.on('pageerror', error => thrown.push(String(error.stack ?? error)));
  await page.goto(`${site}/healthz`);
  return { page, tab, thrown };
}
