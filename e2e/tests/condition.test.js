import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { launchPlain } from '../support/chromium.js';
import { serveWithoutUpgrades } from '../support/proxy.js';
import { scene } from '../support/scene.js';
import { assertHolds, completeUntil } from '../support/series.js';
import { PATIENCE, until } from '../support/until.js';
import { write } from '../support/write.js';

/** A tab that nobody has looked at for this long leaves its rooms, ms. */
const HIDDEN_FOR = 30_000;

// These tests wait more than they work, so they do it at the same time.
describe('the page says how it stands', { concurrency: true }, () => {
  test(
    'before the first sample it waits and says so, on every chart',
    scene(async scene => {
      // Samples stand on the wall clock's ticks, and none comes in this test.
      const minutes = [60, 47, 31].find(every => every - ((Date.now() / 60_000) % every) > 10);
      const program = await scene.start('--interval', `${minutes}m`);
      const tab = await scene.open(program.url);
      await tab.untilCondition('waiting');
      assert.equal((await tab.condition()).title, 'waiting for the first sample');
      const charts = await tab.page.locator('section.panel').count();
      const waiting = tab.page.locator('section.panel', { hasText: 'waiting for the first sample' });
      await until('every chart to say so', async () => (await waiting.count()) === charts);
      assert.equal(await tab.page.getByRole('status').innerText(), 'waiting for the first sample');

      const host = { __name__: 'load1', host: 'web1' };
      let batch = 0;
      const send = () => write(program.url, 'web1', ++batch, host, [[Date.now(), 1]]).catch(() => {});
      const timer = setInterval(send, 500);
      scene.closing(() => clearInterval(timer));
      await tab.untilCondition('live');
      await until('the chart to follow', async () => (await waiting.count()) === charts - 1);
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
      const tab = await scene.open(`${program.url}/?window=5m`);
      await tab.untilSamples(5);
      tab.expectOutage();
      const held = await tab.samples();
      await program.kill();
      await tab.untilCondition('lost');
      // On a machine that is busy the words of a server that stays away may have taken their place.
      assert.match(await says(tab), /^(reconnecting… · newest sample .+ ago|no server · since .+)$/);
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
      await tab.untilCondition('live');
    }),
  );

  test(
    'a tab that is hidden for half a minute leaves its rooms, and goes on where it was without a burst',
    scene(async scene => {
      const program = await scene.start('--interval', '200ms');
      const chromium = await launchPlain();
      scene.closing(() => chromium.close());
      const recorder = await scene.recorder(program);
      const [context] = chromium.browser.contexts();
      const [page] = context?.pages() ?? [];
      assert.ok(context && page);
      const tab = await scene.adopt(page);
      // As many charts as are on screen: those far below leave and join on their own.
      const queries = ['cpu_usage_percent{cpu="total"}', 'cpu_usage_percent', 'load1', 'memory_used_bytes'];
      await page.goto(
        `${program.url}/?window=5m&${queries.map(query => `chart=${encodeURIComponent(query)}`).join('&')}`,
      );
      await tab.untilSamples(5);
      const rooms = (await tab.rooms()).length;

      const other = await context.newPage();
      const hiddenAt = performance.now(); // at the earliest: on a busy machine this test learns of it late
      await other.bringToFront();
      await until('the tab to be hidden', () => page.evaluate(() => document.hidden));
      await until(
        'the tab to leave its rooms',
        () => sent(tab, 'unsubscribe').length === rooms,
        HIDDEN_FOR + PATIENCE,
      );
      assert.ok(performance.now() - hiddenAt > HIDDEN_FOR - 1_000, 'it has waited for half a minute');
      const left = await until('updates that were under way', async () => {
        const before = tab.frames.length;
        await sleep(1_000);
        return events(tab, before).length === 0 && tab.frames.length;
      });
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
      const to = completeUntil(now);
      const from = Math.max(...[...now.values()].map(([sample]) => sample?.[0] ?? 0));
      const whole = new Map(
        [...recorder.samples()]
          .filter(([series]) => now.has(series))
          .map(([series, samples]) => [series, samples.filter(([time]) => time >= from && time <= to)]),
      );
      assertHolds(now, whole); // no hole is left where it was away
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
