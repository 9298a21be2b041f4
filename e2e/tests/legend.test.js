import assert from 'node:assert/strict';
import { test } from 'node:test';
import { threeLines } from '../support/lines.js';
import { scene } from '../support/scene.js';
import { until } from '../support/until.js';

test(
  'a click on the legend shows one line only, and with Ctrl hides one',
  scene(async scene => {
    const program = await scene.start();
    await threeLines(program.url);
    const tab = await scene.open(`${program.url}/?chart=three`);
    const items = tab.page.locator('.legend li button');
    await until('three lines', async () => (await items.count()) === 3);
    const shown = async () =>
      (await items.evaluateAll(all => all.map(e => e.getAttribute('aria-pressed')))).join();
    assert.equal(await shown(), 'true,true,true');
    await items.nth(1).click();
    assert.equal(await shown(), 'false,true,false');
    await items.nth(1).click();
    assert.equal(await shown(), 'true,true,true');
    await items.nth(0).click({ modifiers: ['Control'] });
    assert.equal(await shown(), 'false,true,true');
  }),
);

test(
  'a legend tells least, mean and greatest value of what is shown',
  scene(async scene => {
    const program = await scene.start();
    const end = await threeLines(program.url);
    const link = `${program.url}/?from=${end - 60_500}&to=${end}&chart=three{line="low"}&chart=three`;
    const tab = await scene.open(link);
    const legend = tab.page.locator('.legend').first();
    await until('the numbers of a line alone', async () =>
      /min 0\s+mean 29\.5\s+max 59/.test(await legend.innerText()),
    );
    await tab.page.keyboard.press('n');
    const numbers = tab.page.locator('.legend').nth(1);
    await until('the numbers of every line', async () =>
      /high\s+min 1000\s+mean 1030\s+max 1059/.test(await numbers.innerText()),
    );
    await tab.page.screenshot({ path: scene.path('numbers.png') });
  }),
);
