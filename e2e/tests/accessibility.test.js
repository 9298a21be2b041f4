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
      // A card that is coming while axe looks would be half seen.
      const tab = await scene.open(program.url, { colorScheme, reducedMotion: 'reduce' });
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
    // A card that is coming while axe looks would be half seen.
    const tab = await scene.open(program.url, { reducedMotion: 'reduce' });
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
    await page.getByRole('button', { name: 'Table' }).click();
    await page.getByRole('dialog', { name: 'Table of Three' }).waitFor();
    await assertNothing(page, 'the table of a chart');
    await page.keyboard.press('Escape');
    await page.locator('.u-over').first().click();
    await page.locator('.pinned').waitFor();
    await assertNothing(page, 'a time that is held');
    await page.keyboard.press('Escape');
    await page.keyboard.press('n');
    await page.keyboard.press(' ');
    await page.getByRole('button', { name: 'Back to live' }).waitFor();
    await assertNothing(page, 'a page that stands still, with all numbers');
    await page.emulateMedia({ forcedColors: 'active' });
    await assertNothing(page, 'forced colours');
    await page.emulateMedia({ forcedColors: 'none' });
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
    const { violations } = await checker.run();
    return violations.map(({ id, nodes }) => [id, nodes.map(node => node.html)]);
  });
  assert.deepEqual(violations, [], state);
}

test(
  'axe objects to nothing where there is nothing to show',
  scene(async scene => {
    const program = await scene.start('--interval', '200ms');
    const query = 'chart=nosuch&chart=rate(load1[1m])&chart=load1&window=1e9&host=nosuch';
    const tab = await scene.open(`${program.url}/?${query}`, { reducedMotion: 'reduce' });
    const { page } = tab;
    await until('the words', async () => /no such series/.test(await page.locator('main').innerText()));
    await page.locator('.refused').waitFor();
    await until('the notes', async () => (await page.locator('.notes p').count()) === 2);
    await page.evaluate(axe.source);
    await assertNothing(page, 'charts without samples');
  }),
);

test(
  'keys read a chart: samples, lines, a summary, a table, and a time that is held',
  scene(async scene => {
    const program = await scene.start('--interval', '200ms');
    await threeLines(program.url);
    const tab = await scene.open(`${program.url}/?chart=three&chart=load1&window=5m`);
    const { page } = tab;
    await tab.untilSamples(5);
    await page.keyboard.press(' ');
    await page.getByRole('button', { name: 'Back to live' }).waitFor();
    const said = page.locator('.unseen [aria-live=polite]');
    const says = (/** @type {RegExp} */ form) =>
      until(`it to say ${form}`, async () => form.test((await said.textContent()) ?? ''));
    const chart = page.getByRole('application', { name: 'Chart of Three' });
    await chart.focus();
    assert.match((await chart.getAttribute('aria-description')) ?? '', /Arrows/);

    await page.keyboard.press('End');
    const clock = /^(\d\d:\d\d:\d\d): (\S+), (\S+)$/;
    await says(clock);
    const last = clock.exec((await said.textContent()) ?? '');
    await page.keyboard.press('ArrowLeft');
    await until('the sample before', async () => (await said.textContent()) !== last?.[0]);
    const before = clock.exec((await said.textContent()) ?? '');
    assert.ok((before?.[1] ?? '') < (last?.[1] ?? ''), `${before} before ${last}`);
    assert.equal(before?.[3], last?.[3], 'the same line');
    const pointed = page.locator('.panel .pointed');
    await until('both charts to show that time', async () => {
      const times = await pointed.allInnerTexts();
      return times.length === 2 && times.every(time => time === before?.[1]);
    });
    await page.keyboard.press('ArrowDown');
    await until('the next line', async () => clock.exec((await said.textContent()) ?? '')?.[3] !== last?.[3]);

    await page.keyboard.press('Enter');
    await says(/^\S+: least \S+, most \S+, now \S+, (rising|falling|steady)\. \S+: least/);

    await page.keyboard.press('p');
    await page.locator('.pinned').waitFor();
    assert.equal(await page.locator('.pinned time').innerText(), before?.[1]);

    await page.keyboard.press('t');
    const table = page.getByRole('dialog', { name: 'Table of Three' });
    await table.waitFor();
    const rows = await table
      .locator('tbody tr')
      .evaluateAll(all => all.map(row => [...row.querySelectorAll('td')].map(cell => cell.textContent)));
    const held = await page.evaluate(() => {
      const [chart] = window.stripchart.charts();
      return chart?.series.flatMap(({ data: [times, values] }) =>
        values.filter((_, i) => (times[i] ?? 0) >= chart.from && (times[i] ?? 0) <= chart.to),
      );
    });
    const ascending = (/** @type {number} */ a, /** @type {number} */ b) => a - b;
    const numbers = rows.flat().filter(Boolean).map(Number);
    assert.deepEqual(numbers.sort(ascending), held?.sort(ascending), 'every sample of the chart');
    await page.screenshot({ path: scene.path('table.png') });
    await page.keyboard.press('Escape');
    await until('the chart to have the focus again', () =>
      chart.evaluate(element => element === document.activeElement),
    );
    await page.keyboard.press('p');
    await page.keyboard.press('Tab');
    await until('no time to be pointed at', async () => (await pointed.count()) === 0);
  }),
);

for (const [device, viewport] of /** @type {const} */ ([
  ['a desk', { width: 1280, height: 800 }],
  ['a telephone', { width: 390, height: 844 }],
])) {
  test(
    `on ${device} everything that can be pressed is 24 pixels high and wide`,
    scene(async scene => {
      const program = await scene.start('--interval', '200ms');
      await threeLines(program.url);
      const tab = await scene.open(`${program.url}/?chart=three&chart=.modes&chart=load1`, { viewport });
      const { page } = tab;
      await tab.untilSamples(3);
      await page.locator('.legend li').first().waitFor();
      await page.locator('.u-over').first().click();
      await page.locator('.pinned').waitFor();
      await page.getByTitle('Change the chart Three').click();
      const small = () =>
        page.locator('button, summary, select, a[href], label:has(input), [role=option]').evaluateAll(all =>
          all.flatMap(element => {
            const { width, height } = element.getBoundingClientRect();
            const seen = element.checkVisibility() && width > 1;
            return seen && (width < 24 || height < 24) ? [`${width}x${height} ${element.outerHTML}`] : [];
          }),
        );
      assert.deepEqual(await small(), []);
      await page.keyboard.press('Escape');
      await page.keyboard.press('/');
      await page.locator('.commands [role=option]').first().waitFor();
      assert.deepEqual(await small(), []);
    }),
  );
}

test(
  'text of twice the size, forced colours and still motion leave the page whole',
  scene(async scene => {
    const program = await scene.start('--interval', '200ms');
    const tab = await scene.open(program.url, {
      forcedColors: 'active',
      reducedMotion: 'reduce',
      viewport: { width: 1280, height: 800 },
    });
    const { page } = tab;
    await tab.untilSamples(3);
    const lamp = page.locator('.condition .lamp');
    const live = await lamp.evaluate(element => getComputedStyle(element).backgroundColor);
    await page.screenshot({ path: scene.path('forced.png') });
    assert.equal(await page.evaluate(() => document.getAnimations().length), 0);
    await page.evaluate(() => {
      document.documentElement.style.fontSize = '28px';
    });
    await page.setViewportSize({ width: 900, height: 800 });
    await until('the charts to follow', () =>
      page.evaluate(() => document.documentElement.scrollWidth <= document.documentElement.clientWidth),
    );
    const cut = await page
      .locator('.panel h2, .legend .key, .reading, .bar button')
      .evaluateAll(all =>
        all
          .filter(element => element.getBoundingClientRect().right > innerWidth + 0.5)
          .map(element => element.outerHTML),
      );
    assert.deepEqual(cut, []);
    await page.screenshot({ path: scene.path('twice.png') });
    tab.expectOutage();
    await program.kill();
    await tab.untilCondition('lost');
    const lost = await lamp.evaluate(element => getComputedStyle(element).backgroundColor);
    assert.notEqual(lost, live, 'the lamp tells it by its form');
  }),
);

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
      controls + 3 + charts.length,
      `every button, every menu, every chart, the windows, the way home and that to the charts; reached: ${[...seen].join(', ')}`,
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
    return {
      name:
        group ??
        element.getAttribute('title') ??
        element.getAttribute('aria-label') ??
        element.textContent ??
        '',
      visible,
    };
  });
}
