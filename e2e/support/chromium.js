import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { chromium } from 'playwright-core';
import { startChild } from './children.js';
import { chromiumPath } from './paths.js';

/** Chromium by itself: no sandbox (containers), no graphics card, and nothing that calls home. */
const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/**
 * Starts the system's Chromium with a fresh profile.
 *
 * @param {...string} flags
 */
export function launch(...flags) {
  return chromium.launch({ executablePath: chromiumPath(), args: [...FLAGS, ...flags] });
}

/**
 * Starts Chromium without what a test driver usually adds. In it a tab that is not in front is hidden, as for
 * a person; a driver's own tabs all believe that they are in front.
 */
export async function launchPlain() {
  const profile = await mkdtemp(join(tmpdir(), 'stripchart-profile-'));
  const own = [`--user-data-dir=${profile}`, '--remote-debugging-port=0', '--window-size=1400,1000'];
  const { child, exited } = startChild(chromiumPath(), [...FLAGS, ...own, 'about:blank']);
  const lines = createInterface(/** @type {import('node:stream').Readable} */ (child.stderr));
  /** @type {Promise<string>} */
  const address = new Promise(resolve => {
    lines.on('line', line => {
      const found = /listening on (ws:\S+)/.exec(line);
      if (found) resolve(/** @type {string} */ (found[1]));
    });
  });
  const ended = exited.then(() => {
    throw new Error('Chromium ended at its start');
  });
  const browser = await chromium.connectOverCDP(await Promise.race([address, ended]), { noDefaults: true });
  return {
    browser,
    async close() {
      await browser.close();
      child.kill('SIGTERM');
      await exited;
      await rm(profile, { recursive: true, force: true, maxRetries: 3 });
    },
  };
}
