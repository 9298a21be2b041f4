import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { launchPlain } from '../support/chromium.js';
import { serveWithoutUpgrades } from '../support/proxy.js';
import { scene } from '../support/scene.js';
import { assertHolds } from '../support/series.js';
import { PATIENCE, until } from '../support/until.js';

/** A tab that nobody has looked at for this long leaves its rooms, ms. */
const HIDDEN_FOR = 30_000;

// These tests wait more than they work, so they do it at the same time.
describe('the page says how it stands', { concurrency: true }, () => {
  test(
    'before the first sample it waits and says so, on every chart',
    scene(async scene => {
      const interval = 20_000;
      await scene.open('about:blank'); // the browser's own start is over then
      // Samples stand on the wall clock's ticks: the page needs a moment before the first.
      const toTick = interval - (Date.now() % interval);
      if (toTick < interval / 2) await sleep(toTick + 100);
      const program = await scene.start('--interval', `${interval}ms`);
      const tab = await scene.open(program.url);
      await tab.untilCondition('waiting', interval / 2);
      assert.equal((await tab.condition()).title, 'waiting for the first sample');
      const charts = await tab.page.locator('section.panel').count();
      const waiting = tab.page.locator('section.panel', { hasText: 'waiting for the first sample' });
      await until('every chart to say so', async () => (await waiting.count()) === charts);
      assert.equal(await tab.page.getByRole('status').innerText(), 'waiting for the first sample');

      await tab.untilCondition('live', interval);
      await until('the charts to follow', async () => (await waiting.count()) < charts);
    }),
  );

  test(
    'a server that stands still makes it stale, and it recovers',
    scene(async scene => {
      const program = await scene.start('--interval', '200ms');
      const tab = await scene.open(program.url);
      await tab.untilCondition('live');
      program.freeze();
      await tab.untilCondition('stale');
      assert.match(await says(tab), /^stale since \d\d:\d\d:\d\d$/);
      const told = tab.page.locator('.hero .state');
      assert.match(await told.innerText(), /^stale since \d\d:\d\d:\d\d$/, 'and says so at the chart');
      program.thaw();
      await tab.untilCondition('live');
      await until('the chart to be live', async () => (await told.count()) === 0);
    }),
  );

  test(
    'a server that is gone makes it reconnect, and what was drawn stays',
    scene(async scene => {
      const program = await scene.start('--interval', '200ms');
      const tab = await scene.open(program.url);
      await tab.untilSamples(5);
      tab.expectOutage();
      const held = await tab.samples();
      await program.kill();
      await tab.untilCondition('lost', 5_000);
      assert.match(await says(tab), /^reconnecting… · newest sample .+ ago$/);
      assertHolds(await tab.samples(), held);
      await program.start();
      await tab.untilCondition('live');
      assertHolds(await tab.samples(), held);
    }),
  );

  for (const upgrades of /** @type {const} */ (['refused', 'unanswered'])) {
    test(
      `where a WebSocket is ${upgrades} the page is live all the same`,
      scene(async scene => {
        const program = await scene.start('--interval', '200ms');
        const proxy = await serveWithoutUpgrades(program.port, upgrades);
        scene.closing(() => proxy.close());
        const tab = await scene.open('about:blank');
        tab.expectOutage(); // the console tells of each WebSocket that failed
        await tab.page.goto(proxy.url);
        await tab.untilSamples(5);
        await tab.untilCondition('live');
        const received = tab.frames.filter(({ sent }) => !sent);
        assert.deepEqual(received, [], 'all of it came by polling');
      }),
    );
  }

  test(
    'a chart that the server refuses shows why, and leaves the others alone',
    scene(async scene => {
      const program = await scene.start('--interval', '200ms');
      const queries = ['load1', 'sum(load1)', 'load1{'];
      const search = queries.map(query => `chart=${encodeURIComponent(query)}`).join('&');
      const tab = await scene.open(`${program.url}/?${search}`);
      await tab.untilSamples(2);
      await until('two refusals', async () => (await tab.page.locator('.refused').count()) === 2);
      const rooms = await tab.rooms();
      const problems = rooms.map(room => room.problem);
      assert.equal(problems[0], null);
      for (const i of [1, 2]) {
        const panel = tab.page.locator('section.panel').nth(i);
        assert.ok(
          problems[i] && (await panel.innerText()).includes(problems[i]),
          `chart ${i}: ${problems[i]}`,
        );
      }
      assert.equal((await tab.condition()).kind, 'live');
    }),
  );

  test(
    'a tab that is hidden for half a minute leaves its rooms, and goes on where it was without a burst',
    scene(async scene => {
      const program = await scene.start('--interval', '200ms');
      const chromium = await launchPlain();
      scene.closing(() => chromium.close());
      const [context] = chromium.browser.contexts();
      const [page] = context?.pages() ?? [];
      assert.ok(context && page);
      const tab = await scene.adopt(page);
      // As many charts as are on screen: those far below leave and join on their own.
      const queries = ['cpu_usage_percent{cpu="total"}', 'cpu_usage_percent', 'load1', 'memory_used_bytes'];
      await page.goto(
        `${program.url}/?${queries.map(query => `chart=${encodeURIComponent(query)}`).join('&')}`,
      );
      await tab.untilSamples(5);
      const rooms = (await tab.rooms()).length;

      const other = await context.newPage();
      await other.bringToFront();
      await until('the tab to be hidden', () => page.evaluate(() => document.hidden));
      const hiddenAt = performance.now();
      await until(
        'the tab to leave its rooms',
        () => sent(tab, 'unsubscribe').length === rooms,
        HIDDEN_FOR + PATIENCE,
      );
      assert.ok(performance.now() - hiddenAt > HIDDEN_FOR - 1_000, 'it has waited for half a minute');
      await sleep(500); // updates that were under way
      const left = tab.frames.length;
      const held = await tab.samples();
      await sleep(3_000);
      assert.deepEqual(events(tab, left), [], 'the server sends it nothing any more');

      await page.bringToFront();
      const backAt = Date.now();
      await tab.untilCondition('live');
      await until('every chart to be live again', () => answers(tab, left).length === rooms);
      const resumed = answers(tab, left);
      assert.deepEqual(new Set(resumed.map(({ reason }) => reason)), new Set(['resume']));
      assert.ok(
        resumed.every(({ from }) => typeof from === 'string'),
        'only what was missed comes, once for each chart',
      );
      await tab.untilSamples(5, backAt);
      const now = await tab.samples();
      assertHolds(now, held);
      const times = (await tab.times()).slice(1).map((time, i, all) => time - (all[i - 1] ?? time));
      assert.ok(Math.max(...times) < 3_000, `no hole is left where it was away: ${Math.max(...times)} ms`);
    }),
  );
});

/**
 * What the page says of its state.
 *
 * @param {import('../support/tab.js').Tab} tab
 */
async function says(tab) {
  return (await tab.page.locator('.condition').textContent()) ?? '';
}

/**
 * The requests of a name that a tab has sent.
 *
 * @param {import('../support/tab.js').Tab} tab
 * @param {string} name
 */
function sent(tab, name) {
  return tab.frames.filter(frame => frame.sent && frame.text.includes(`["${name}",`));
}

/**
 * The names of the events that a tab was sent, from frame `start` on.
 *
 * @param {import('../support/tab.js').Tab} tab
 * @param {number} start
 */
function events(tab, start) {
  return tab.frames.slice(start).flatMap(({ sent, text }) => {
    const name = /^42\/live,\["(\w+)"/.exec(text)?.[1];
    return sent || !name ? [] : [name];
  });
}

/**
 * The bootstraps that a tab was sent, from frame `start` on.
 *
 * @param {import('../support/tab.js').Tab} tab
 * @param {number} start
 * @returns {any[]}
 */
function answers(tab, start) {
  const prefix = '42/live,["bootstrap",';
  return tab.frames
    .slice(start)
    .filter(({ sent, text }) => !sent && text.startsWith(prefix))
    .map(({ text }) => JSON.parse(text.slice(prefix.length, -1)));
}
