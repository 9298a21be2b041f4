import assert from 'node:assert/strict';
import { test } from 'node:test';
import axe from 'axe-core';
import { scene } from '../support/scene.js';

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
    const tab = await scene.open(program.url);
    await tab.untilSamples(5);
    const { page } = tab;

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
      controls + 1,
      `every button, every menu and the windows; reached: ${[...seen].join(', ')}`,
    );

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
