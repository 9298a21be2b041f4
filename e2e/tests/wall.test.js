import assert from 'node:assert/strict';
import { test } from 'node:test';
import { scene } from '../support/scene.js';
import { until } from '../support/until.js';

test(
  'a wall has no controls, fills any screen without scrolling, turns through all charts and keeps the screen awake',
  scene(async scene => {
    const program = await scene.start();
    const tab = await scene.open('about:blank', { viewport: { width: 1280, height: 720 } });
    const { page } = tab;
    await page.addInitScript(() => {
      const counted = /** @type {any} */ (window);
      counted.awake = 0;
      const wakeLock = { request: async () => ++counted.awake && { release: async () => {} } };
      Object.defineProperty(navigator, 'wakeLock', { value: wakeLock });
    });
    await page.goto(`${program.url}/?wall=1s`);
    await tab.untilCondition('live');
    const titles = () => page.locator('.panel h2').allInnerTexts();
    const seen = new Set();
    await until('every chart to have had its turn', async () => {
      for (const title of await titles()) seen.add(title);
      return ['CPU', 'Memory', 'Load', 'Disk', 'Network', 'CPU by core'].every(title => seen.has(title));
    });
    for (const [width, height] of /** @type {const} */ ([
      [1280, 720],
      [1080, 1920],
      [3840, 2160],
    ])) {
      await page.setViewportSize({ width, height });
      await until(`nothing to scroll to on ${width} by ${height}`, () =>
        page.evaluate(() => {
          const lowest = Math.max(
            ...[...document.querySelectorAll('.panel')].map(e => e.getBoundingClientRect().bottom),
          );
          return document.querySelectorAll('.panel').length > 0 && lowest <= innerHeight;
        }),
      );
    }
    assert.equal(await page.locator('header.bar :is(button, select, input, summary):visible').count(), 0);
    assert.ok(await page.evaluate(() => /** @type {any} */ (window).awake > 0), 'the screen is kept awake');
    await page.screenshot({ path: scene.path('wall.png') });

    await page.keyboard.press('Escape');
    await until('the page as it is on a desk', () => page.locator('.add').isVisible());
    assert.equal(new URL(page.url()).searchParams.has('wall'), false);
  }),
);

test(
  'a wall says over its whole width that it is not live',
  scene(async scene => {
    const program = await scene.start();
    const tab = await scene.open(`${program.url}/?wall&chart=load1`);
    await tab.untilCondition('live');
    const alarm = tab.page.locator('.alarm');
    assert.equal(await alarm.count(), 0);
    tab.expectOutage();
    await program.kill();
    await alarm.waitFor();
    const box = await alarm.boundingBox();
    assert.equal(box?.width, 1400);
    assert.match(await tab.page.title(), /^(reconnecting…|no server) · /);
    await tab.page.screenshot({ path: scene.path('alarm.png') });
    await program.start();
    await alarm.waitFor({ state: 'detached' });
  }),
);
