import assert from 'node:assert/strict';
import { test } from 'node:test';
import { scene } from '../support/scene.js';
import { until } from '../support/until.js';

test(
  'a page that finds no server says so, and is live by itself once there is one',
  scene(async scene => {
    const program = await scene.start('--interval', '200ms');
    const tab = await scene.open('about:blank');
    const { page } = tab;
    tab.expectOutage();
    // The page itself comes from the browser's memory, or from a proxy; only the server behind it is away.
    let away = true;
    await page.route(/\/socket\.io\//, route => (away ? route.abort('connectionrefused') : route.continue()));
    await page.routeWebSocket(/\/socket\.io\//, socket => {
      if (away) void socket.close();
      else socket.connectToServer();
    });
    await page.goto(program.url);
    await until('the words', async () =>
      /^no server\s*· since \d\d:\d\d:\d\d/.test(await page.locator('.condition').innerText()),
    );
    assert.match(await page.title(), /^(no server|reconnecting)/);
    await page.screenshot({ path: scene.path('no-server.png') });
    away = false;
    await tab.untilCondition('live');
  }),
);

test(
  'what browsers ask for by themselves is answered, and their frame has the colour of the page',
  scene(async scene => {
    const program = await scene.start();
    for (const [path, type] of /** @type {const} */ ([
      ['/favicon.ico', /^image\//],
      ['/robots.txt', /^text\/plain/],
    ])) {
      const answer = await fetch(program.url + path);
      assert.equal(answer.status, 200, path);
      assert.match(answer.headers.get('content-type') ?? '', type);
    }
    for (const colorScheme of /** @type {const} */ (['light', 'dark'])) {
      const { page } = await scene.open(program.url, { colorScheme });
      const [frame, desk] = await page.evaluate(() => [
        document.querySelector('meta[name="theme-color"]')?.getAttribute('content'),
        getComputedStyle(document.body).backgroundColor,
      ]);
      assert.equal(frame, desk, colorScheme);
    }
  }),
);

test(
  '/embed shows charts and nothing else, and says when they are not live',
  scene(async scene => {
    const program = await scene.start('--interval', '200ms');
    const tab = await scene.open(`${program.url}/embed?chart=load1&theme=dark`, {
      viewport: { width: 480, height: 260 },
    });
    const { page } = tab;
    await tab.untilSamples(3);
    const seen = await page.evaluate(() => {
      const { scrollWidth, scrollHeight, dataset } = document.documentElement;
      const controls = [...document.querySelectorAll('button, select, summary')];
      return {
        size: [scrollWidth, scrollHeight],
        theme: dataset.theme,
        controls: controls.filter(e => e.checkVisibility()).map(e => e.outerHTML),
      };
    });
    assert.deepEqual(seen, { size: [480, 260], theme: 'dark', controls: [] });
    await page.screenshot({ path: scene.path('embed.png') });
    tab.expectOutage();
    await program.kill();
    await until('the words', async () =>
      /reconnecting|no server/.test(await page.locator('.alarm').innerText()),
    );
  }),
);
