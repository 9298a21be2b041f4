import assert from 'node:assert/strict';
import { test } from 'node:test';
import axe from 'axe-core';
import { threeLines } from '../support/lines.js';
import { scene } from '../support/scene.js';
import { until } from '../support/until.js';
import { write } from '../support/write.js';

for (const colorScheme of /** @type {const} */ (['light', 'dark'])) {
  test(
    `the ${colorScheme} page has nothing that axe objects to`,
    scene(async scene => {
      const program = await scene.start('--interval', '200ms');
      const tab = await scene.open(program.url, { colorScheme });
      await tab.untilSamples(5);
      await tab.page.evaluate(axe.source);
      const { passed, violations } = await tab.page.evaluate(async () => {
        const checker = /** @type {typeof import('axe-core')} */ (/** @type {any} */ (window).axe);
        const { passes, violations } = await checker.run();
        const found = violations.map(({ id, help, nodes }) => ({
          id,
          help,
          nodes: nodes.map(node => node.html),
        }));
        return { passed: passes.length, violations: found };
      });
      assert.deepEqual(violations, []);
      assert.ok(passed > 10, `it has looked: ${passed} rules`);
    }),
  );
}

test(
  'axe objects to nothing in any state that the page can be brought into',
  scene(async scene => {
    const program = await scene.start('--interval', '200ms');
    const now = Date.now();
    const silent = Array.from(
      { length: 20 },
      (_, i) => /** @type {[number, number]} */ ([now - 1000 * (30 - i), 50]),
    );
    const cpu = { __name__: 'cpu_usage_percent', cpu: 'total', host: 'web2' };
    await write(program.url, 'web2', 1, cpu, silent);
    await threeLines(program.url);
    const tab = await scene.open(program.url);
    const { page } = tab;
    await page.locator('.hosts tbody tr').nth(1).waitFor();
    await page.getByRole('heading', { name: 'Three' }).waitFor();
    await page.evaluate(axe.source);
    await assertNothing(page, 'several hosts, one of them silent');

    await page.keyboard.press('/');
    await page.locator('.commands [role=option]').first().waitFor();
    await assertNothing(page, 'the command bar');
    await page.keyboard.press('Escape');
    await page.keyboard.press('?');
    await page.getByRole('dialog', { name: 'Keys' }).waitFor();
    await assertNothing(page, 'the keys');
    await page.keyboard.press('Escape');
    await page.getByTitle('More').click();
    await assertNothing(page, 'the menu of the page');
    await page.keyboard.press('Escape');
    await page.getByTitle('Change the chart Three').click();
    await assertNothing(page, 'the menu of a chart');
    await page.keyboard.press('Escape');
    await page.locator('.u-over').first().click();
    await page.locator('.pinned').waitFor();
    await assertNothing(page, 'a time that is held');
    await page.keyboard.press('Escape');
    await page.keyboard.press('n');
    await page.keyboard.press(' ');
    await page.getByRole('button', { name: 'Back to live' }).waitFor();
    await assertNothing(page, 'a page that stands still, with all numbers');
    await page.keyboard.press('l');
    await page.keyboard.press('w');
    await page.locator('.add').waitFor({ state: 'hidden' });
    tab.expectOutage();
    await program.kill();
    await page.locator('.alarm').waitFor();
    await assertNothing(page, 'a wall that is not live');
    await page.keyboard.press('w');
    await page.locator('.add').waitFor();
    await page.setViewportSize({ width: 390, height: 844 });
    await assertNothing(page, 'a telephone without a server');
  }),
);

/**
 * @param {import('playwright-core').Page} page
 * @param {string} state
 */
async function assertNothing(page, state) {
  const violations = await page.evaluate(async () => {
    const checker = /** @type {typeof import('axe-core')} */ (/** @type {any} */ (window).axe);
    // What comes by and by would be half seen.
    await Promise.all(document.getAnimations().map(animation => animation.finished));
    const { violations } = await checker.run();
    return violations.map(({ id, nodes }) => [id, nodes.map(node => node.html)]);
  });
  assert.deepEqual(violations, [], state);
}

test(
  'on a telephone nothing is wider than the screen',
  scene(async scene => {
    const program = await scene.start('--interval', '200ms');
    const tab = await scene.open(program.url, { viewport: { width: 360, height: 740 } });
    await tab.untilSamples(5);
    const wide = await tab.page.evaluate(() => {
      const { scrollWidth, clientWidth } = document.documentElement;
      const beyond = [...document.querySelectorAll('body *')]
        .filter(element => element.getBoundingClientRect().right > clientWidth + 0.5)
        .map(element => element.outerHTML.slice(0, 120));
      return { scrollWidth, clientWidth, beyond };
    });
    assert.deepEqual(wide, { scrollWidth: 360, clientWidth: 360, beyond: [] });
    await tab.page.screenshot({ path: scene.path('telephone.png'), fullPage: true });
  }),
);

test(
  'the keyboard reaches every control, and shows where it is',
  scene(async scene => {
    const program = await scene.start('--interval', '200ms');
    // Charts of what is measured seldom would come while the keyboard is on its way.
    const charts = ['.cpu', '.cores', '.memory', '.load', '.disk', '.network'];
    const tab = await scene.open(`${program.url}/?${charts.map(chart => `chart=${chart}`).join('&')}`);
    const { page } = tab;
    await until('every chart and every reading', async () => {
      const rooms = await tab.rooms();
      const whole = rooms.every(({ series }) => series.length > 0);
      return whole && rooms.length === charts.length && (await page.locator('.readings li').count()) === 5;
    });

    const seen = new Set();
    for (;;) {
      await page.keyboard.press('Tab');
      const focused = await focus(page);
      if (!focused || seen.has(focused.name)) break;
      assert.ok(focused.visible, `${focused.name} shows that it has the focus`);
      seen.add(focused.name);
    }
    const controls = await page.locator('button:visible, summary:visible').count();
    assert.ok(seen.has('Window'), `reached: ${[...seen].join(', ')}`);
    assert.equal(
      seen.size,
      controls + 2,
      `every button, every menu, the windows and the way to the charts; reached: ${[...seen].join(', ')}`,
    );

    await page.getByRole('link', { name: 'To the charts' }).focus();
    await page.keyboard.press('Enter');
    await page.keyboard.press('Tab');
    assert.equal((await focus(page))?.name, 'Change the chart CPU', 'past all that stands above the charts');

    await page.getByTitle('More').focus();
    await page.keyboard.press('Enter');
    await page.keyboard.press('Tab');
    assert.equal((await focus(page))?.name, 'Theme', 'the choices of the page’s menu');
    await page.keyboard.press('Escape');
    assert.equal((await focus(page))?.name, 'More');

    await page.getByRole('group', { name: 'Window' }).getByRole('radio', { checked: true }).focus();
    await page.keyboard.press('ArrowRight');
    assert.equal(new URL(page.url()).searchParams.get('window'), '5m', 'an arrow chooses the next window');
  }),
);

/**
 * The control that has the focus: its name, a group's for a radio button; and whether one sees that it has it.
 *
 * @param {import('playwright-core').Page} page
 */
function focus(page) {
  return page.evaluate(() => {
    const element = document.activeElement;
    if (!element || element === document.body) return null;
    const group = element.closest('fieldset')?.querySelector('legend')?.textContent;
    // A radio button may be drawn by its label.
    const drawn = [element, element.nextElementSibling].filter(e => e !== null);
    const visible = drawn.some(e => {
      const { outlineStyle, outlineWidth, boxShadow, opacity } = getComputedStyle(e);
      const marked = (outlineStyle !== 'none' && outlineWidth !== '0px') || boxShadow !== 'none';
      return marked && opacity !== '0' && e.getBoundingClientRect().width > 2;
    });
    return { name: group ?? element.getAttribute('title') ?? element.textContent ?? '', visible };
  });
}
