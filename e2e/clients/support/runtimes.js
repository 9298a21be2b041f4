import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { Tab } from '../../support/tab.js';
import { socketIO136 } from './prebuilt.js';

const require = createRequire(import.meta.url);

/** The versions of socket.io-client that run in Node.js: its entry points. */
export const NODE_CLIENTS = ['socket.io-client', 'socket.io-client-2', 'socket.io-client-1'].map(name => ({
  version: /** @type {string} */ (require(`${name}/package.json`).version),
  io: require(name),
}));

/** The versions that run in Chromium: what pages load. */
export const BROWSER_CLIENTS = [
  ...['socket.io-client', 'socket.io-client-2'].map(name => {
    const manifest = require.resolve(`${name}/package.json`);
    return {
      version: /** @type {string} */ (require(manifest).version),
      script: () => readFile(join(dirname(manifest), 'dist', 'socket.io.js'), 'utf8'),
    };
  }),
  { version: '1.3.6', script: socketIO136 },
];

/**
 * Opens a page of a site's that has nothing but a client. It is a page of the very server, however short, since
 * only those may connect.
 *
 * @param {import('../../support/scene.js').Scene} scene
 * @param {import('playwright-core').Browser} browser
 * @param {string} address a plain text
 * @param {string} script
 */
export async function openPage(scene, browser, address, script) {
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
  await page.goto(address);
  return {
    page,
    /** Fails when anything was said on the console, or thrown. */
    assertClean: () => tab.assertClean(),
    /** Fails when anything was thrown. */
    assertNothingThrown: () => assert.deepEqual(thrown, [], 'uncaught in the page'),
  };
}
