// Makes the README's pictures from the real page before a real server, which is killed in between. The numbers are made
// up (support/story.js), so that pictures of two runs can be compared on any machine.
//
//   npm run screenshots        takes about a minute; writes docs/screenshot*.png

import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { launch } from './support/chromium.js';
import { OUT, ROOT } from './support/paths.js';
import { Program } from './support/program.js';
import { machine, ownSeries, tell } from './support/story.js';
import { until } from './support/until.js';

/** Distance of samples, ms. */
const INTERVAL = 500;

/** How long the pictures reach back, how long before their end the server is killed, and for how long; ms. */
const WINDOW = 100_000;
const KILLED = 48_000;
const AWAY = 6_000;

/** How busy the machine is: ms before the end of the picture, and a share of all cores from then on. */
const STORY = /** @type {const} */ ([
  [110_000, 0.06],
  [86_000, 0.35],
  [82_000, 0.78],
  [70_000, 0.4],
  [64_000, 0.08],
  [34_000, 0.25],
  [30_000, 0.5],
  [25_000, 0.9],
  [17_000, 0.55],
  [12_000, 0.12],
]);

/** What this machine itself measures would be a host among the others: its first tick never comes. */
const QUIET = ['--interval', '1h'];

const folder = join(OUT, 'screenshots');
await rm(folder, { recursive: true, force: true });
await mkdir(folder, { recursive: true });
const program = await Program.create(join(folder, 'one'), QUIET);
const others = await Program.create(join(folder, 'hosts'), QUIET);
const own = await Program.create(join(folder, 'own'), QUIET);
const browser = await launch();
try {
  await Promise.all([program.start(), others.start(), own.start()]);
  const end = Date.now() + KILLED;
  const share = (/** @type {number} */ time) =>
    STORY.findLast(([before]) => time >= end - before)?.[1] ?? 0.06;
  const web1 = machine('web1', 1, share);
  const hosts = ['cache1', 'db1', 'web1', 'web2', 'web3'].map((host, i) =>
    machine(host, i + 1, time => 0.08 + 0.7 * ((i * 0.37 + Math.sin(time / (17_000 + 3_000 * i)) ** 2) % 1)),
  );
  await tell(program.url, [web1], end - WINDOW - 5_000, Date.now(), INTERVAL);
  await tell(others.url, hosts, end - WINDOW - 5_000, Date.now(), 1_000);
  await tell(own.url, [ownSeries], end - WINDOW - 5_000, Date.now(), 1_000);
  let told = Date.now();
  const more = async (/** @type {Program} */ to, /** @type {typeof hosts} */ stories, from = told) =>
    tell(to.url, stories, from + 1, Date.now(), to === program ? INTERVAL : 1_000);

  await program.kill();
  await sleep(AWAY);
  await program.start();
  // What was measured while the server was away is lost: nobody kept it.
  let back = Date.now();

  /** @type {{ readonly page: import('playwright-core').Page, readonly name: string }[]} */
  const tabs = [];
  const open = async (
    /** @type {string} */ name,
    /** @type {string} */ url,
    /** @type {import('playwright-core').BrowserContextOptions} */ options = {},
  ) => {
    const page = await browser.newPage({ viewport: { width: 1440, height: 900 }, ...options });
    await page.goto(url);
    tabs.push({ page, name });
  };
  let done = false;
  const live = (async () => {
    while (!done) {
      const now = Date.now();
      await Promise.all([
        more(program, [web1], back),
        // One of the hosts falls silent.
        more(others, hosts.slice(end - now < 30_000 ? 1 : 0)),
        more(own, [ownSeries]),
      ]);
      told = now;
      back = now;
      await sleep(INTERVAL);
    }
  })();
  await open('screenshot', program.url);
  await open('screenshot-dark', program.url, { colorScheme: 'dark' });
  await open('screenshot-phone', program.url, {
    viewport: { width: 390, height: 844 },
    deviceScaleFactor: 2,
    colorScheme: 'dark',
  });
  const wall = ['.cpu', 'load1', '.memory', '.network'].map(query => `chart=${query}`).join('&');
  await open('screenshot-wall', `${program.url}/?wall&${wall}`, {
    viewport: { width: 1920, height: 1080 },
    colorScheme: 'dark',
  });
  await open('screenshot-hosts', others.url);
  await open('screenshot-own', own.url);
  for (const { page } of tabs)
    await until('a page that is live', () =>
      page.evaluate(() => window.stripchart.condition().kind === 'live'),
    );
  await sleep(Math.max(0, end - Date.now()));
  for (const { page, name } of tabs)
    await page.screenshot({
      path: join(ROOT, 'docs', `${name}.png`),
      fullPage: !/phone|wall/.test(name),
    });
  done = true;
  await live;
} finally {
  await browser.close();
  await Promise.all([program.close(), others.close(), own.close()]);
}
