// Makes the README's pictures from the real page: a machine with something to do, and a server that was killed
// in between.
//
//   npm run screenshots        takes about two minutes; writes docs/screenshot*.png

import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { launch } from './support/chromium.js';
import { Load } from './support/load.js';
import { OUT, ROOT } from './support/paths.js';
import { Program } from './support/program.js';

/** What the page shows, seconds: with a little more than that, every chart is full. */
const WINDOW = 100;

/** When the server is killed and when it comes back, seconds from the start of the picture. */
const KILLED = 52;
const BACK = 58;

/** How busy the machine is made: seconds from the start of the picture, and a share of all cores from then on. */
const STORY = /** @type {const} */ ([
  [0, 0.06],
  [14, 0.35],
  [18, 0.78],
  [30, 0.4],
  [36, 0.08],
  [66, 0.25],
  [70, 0.5],
  [75, 0.9],
  [83, 0.55],
  [88, 0.12],
]);

const folder = join(OUT, 'screenshots');
await rm(folder, { recursive: true, force: true });
await mkdir(folder, { recursive: true });
const program = await Program.create(folder, ['--interval', '500ms']);
const load = new Load(folder);
const browser = await launch();
try {
  await program.start();
  // The first samples are of the start itself.
  await sleep(4_000);
  const start = performance.now();
  const until = (/** @type {number} */ seconds) =>
    sleep(Math.max(0, start + 1000 * seconds - performance.now()));
  const life = (async () => {
    await until(KILLED);
    await program.kill();
    await until(BACK);
    await program.start();
  })();
  for (const [from, share] of STORY) {
    await until(from);
    load.set(share);
  }
  await life;
  await until(WINDOW - 4);
  const tabs = [];
  for (const colorScheme of /** @type {const} */ (['light', 'dark'])) {
    const page = await browser.newPage({ viewport: { width: 1400, height: 900 }, colorScheme });
    await page.goto(program.url);
    await page.waitForFunction(() => window.stripchart.condition().kind === 'live');
    tabs.push({
      page,
      path: join(ROOT, 'docs', colorScheme === 'light' ? 'screenshot.png' : 'screenshot-dark.png'),
    });
  }
  await until(WINDOW);
  for (const { page, path } of tabs) await page.screenshot({ path, fullPage: true });
} finally {
  await load.close();
  await browser.close();
  await program.close();
}
