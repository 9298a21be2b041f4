import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fingerprint } from '../support/chart.js';
import { launch } from '../support/chromium.js';
import { scene } from '../support/scene.js';
import { ascending, assertSame, completeUntil } from '../support/series.js';
import { until } from '../support/until.js';

test(
  'points grow on the page, and the picture moves with them',
  scene(async scene => {
    const program = await scene.start('--interval', '200ms');
    const tab = await scene.open(program.url);
    await tab.untilCondition('live');
    const before = await tab.untilSamples(2);
    const picture = await fingerprint(tab.page);

    const after = await tab.untilSamples(before.length + 10);
    assert.deepEqual(after.slice(0, before.length), before, 'what was there stays there');
    ascending('large chart', after);
    assert.ok(
      after.every(time => time % 200 === 0),
      'samples stand on the ticks of the wall clock',
    );
    assert.notEqual(await fingerprint(tab.page), picture, 'the picture is another one');
    assert.deepEqual(await tab.page.evaluate(() => window.stripchart.malformed().count), 0);
  }),
);

test(
  'a browser that opens later sees the same history, and so does a reloaded page',
  scene(async scene => {
    const program = await scene.start('--interval', '200ms');
    const early = await scene.open(program.url);
    await early.untilSamples(15);

    const other = await launch();
    scene.closing(() => other.close());
    const late = await scene.open(program.url, { browser: other });
    await late.untilSamples(15);
    // Not every machine has every chart: those that this one has come a moment after the others.
    await until('the same charts', async () => (await late.rooms()).length === (await early.rooms()).length);
    const held = await early.samples();
    const to = completeUntil(held);
    await late.untilSamples(1, to);
    assertSame(await late.samples(), held, to);

    await early.page.reload();
    await until('the same charts', async () => (await early.rooms()).length === (await late.rooms()).length);
    await early.untilSamples(1, to);
    assertSame(await early.samples(), held, to);
  }),
);
