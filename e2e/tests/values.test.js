import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hatchedStretches } from '../support/chart.js';
import { scene } from '../support/scene.js';
import { until } from '../support/until.js';
import { write } from '../support/write.js';

/** Pairs of values that floats hardly tell apart, or that lie at their ends. */
const HARD = /** @type {const} */ ([
  [1e16, 1e16 + 2],
  [2 ** 60 + 2 ** 52, 2 ** 60 + 2 ** 52 + 256],
  [-1.7e308, 1.7e308],
  [5e-324, 1e-320],
  [1e21, 1e21],
  [1e-11, 1.1e-11],
]);

test(
  'a chart of any values is drawn, and harms no other',
  scene(async scene => {
    const program = await scene.start('--interval', '200ms');
    const now = Math.floor(Date.now() / 1000) * 1000;
    for (const [i, values] of HARD.entries()) {
      const samples = values.map((value, k) => /** @type {const} */ ([now - 2000 + 1000 * k, value]));
      await write(program.url, `hard${i}`, 1, { __name__: `hard${i}` }, samples);
    }
    const charts = HARD.map((_, i) => `&chart=hard${i}`).join('');
    const tab = await scene.open(`${program.url}/?chart=load1${charts}`);
    await until('every chart to have its samples', async () => {
      const times = await tab.timesOfCharts();
      return times.length === 1 + HARD.length && times.every(of => of.length >= 2);
    });
    // The page goes on: its largest chart gets new samples, and answers.
    const before = (await tab.times()).length;
    await until('the page to go on', async () => (await tab.times()).length > before + 5);
    assert.deepEqual(
      await tab.page.locator('.message').allInnerTexts(),
      [],
      'no chart says that it cannot be drawn',
    );
    await tab.page.screenshot({ path: scene.path('values.png'), fullPage: true });
  }),
);

test(
  'two charts of the same series both have it',
  scene(async scene => {
    const program = await scene.start('--interval', '200ms');
    for (let i = 0; i < 5; i++) {
      const tab = await scene.open(
        `${program.url}/?window=5s&chart=load1&chart=load1&chart={__name__="load1"}`,
      );
      await until('three charts with samples', async () => {
        const times = await tab.timesOfCharts();
        return times.length === 3 && times.every(of => of.length >= 3);
      });
    }
  }),
);

test(
  'a history that comes in parts is drawn as it comes, and never as an outage',
  scene(async scene => {
    const program = await scene.start('--interval', '1s');
    const now = Math.floor(Date.now() / 10_000) * 10_000;
    for (let room = 0; room < 4; room++) {
      for (let part = 0; part < 6; part++) {
        const samples = Array.from({ length: 1440 }, (_, i) => {
          const time = now - 24 * 3_600_000 + 60_000 + 10_000 * (1440 * part + i);
          return /** @type {const} */ ([time, 20 + Math.sin(time / 3.6e6) + Math.random()]);
        }).filter(([time]) => time <= now);
        await write(
          program.url,
          `lab${room}`,
          part + 1,
          { __name__: 'room_celsius', room: `${room}` },
          samples,
        );
      }
    }
    const tab = await scene.open(`${program.url}/?window=24h&chart=room_celsius&chart=load1`);
    const cdp = await tab.page.context().newCDPSession(tab.page);
    await cdp.send('Network.enable');
    await cdp.send('Network.emulateNetworkConditions', {
      offline: false,
      latency: 0,
      downloadThroughput: 60_000,
      uploadThroughput: 60_000,
    });
    await tab.page.reload();
    let parts = 0;
    await until('the history to be whole', async () => {
      const frames = tab.frames.filter(f => !f.sent && f.text.includes('"bootstrap"')).length;
      parts = Math.max(parts, frames);
      const stale = await tab.page.locator('.panel.hero .state').allInnerTexts();
      assert.deepEqual(
        stale.filter(text => text.includes('stale')),
        [],
        'a history that is on its way is not stale',
      );
      const [times] = await tab.timesOfCharts();
      return times && (times.at(-1) ?? 0) > now - 60_000;
    });
    // With the next frames, and not only when the paper moves.
    let stretches = await hatchedStretches(tab.page);
    for (let frame = 0; frame < 5 && stretches.length > 0; frame++) {
      await tab.page.evaluate(() => new Promise(requestAnimationFrame));
      stretches = await hatchedStretches(tab.page);
    }
    assert.deepEqual(stretches, []);
    await tab.page.screenshot({ path: scene.path('parts.png') });
  }),
);
