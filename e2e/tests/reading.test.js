import assert from 'node:assert/strict';
import { test } from 'node:test';
import { threeLines } from '../support/lines.js';
import { scene } from '../support/scene.js';
import { until } from '../support/until.js';

for (const hasTouch of [false, true]) {
  test(
    `a ${hasTouch ? 'tap' : 'click'} holds a time with the values of all lines, highest first, until the next one`,
    scene(async scene => {
      const program = await scene.start();
      await threeLines(program.url);
      const tab = await scene.open(`${program.url}/?window=15m&chart=three&chart=load1`, { hasTouch });
      const paper = await papers(tab, 0);
      const press = () =>
        hasTouch
          ? tab.page.touchscreen.tap(paper.x + 0.7 * paper.width, paper.y + paper.height / 2)
          : tab.page.mouse.click(paper.x + 0.7 * paper.width, paper.y + paper.height / 2);
      await press();
      const table = tab.page.locator('.pinned');
      await until('the table', async () => (await table.count()) === 1);
      assert.deepEqual(await table.locator('th').allInnerTexts(), ['high', 'mid', 'low']);
      const values = (await table.locator('td.value').allInnerTexts()).map(Number);
      const [high = 0, mid = 0, low = 0] = values;
      assert.ok(low >= 0 && low < 60, `values: ${values}`);
      assert.deepEqual([high - low, mid - low], [1000, 100], 'all of one time');
      const time = await table.locator('time').innerText();
      assert.match(time, /^(\d+ \w+ )?\d\d:\d\d:\d\d$/);
      await until('every chart to tell the time', async () => {
        const told = await tab.page.locator('.pointed').allInnerTexts();
        return told.includes(time);
      });
      await tab.page.screenshot({ path: scene.path('held.png') });

      const before = (await tab.timesOfCharts())[1]?.length ?? 0;
      await until(
        'samples that come meanwhile',
        async () => ((await tab.timesOfCharts())[1]?.length ?? 0) > before + 1,
      );
      assert.equal(await table.locator('time').innerText(), time, 'the time stands still');
      assert.deepEqual((await table.locator('td.value').allInnerTexts()).map(Number), values);

      await tab.page.keyboard.press('Escape');
      await until('it to be let go', async () => (await table.count()) === 0);
      await press();
      await until('another time', async () => (await table.count()) === 1);
      await press();
      await until('it to be let go by a second press', async () => (await table.count()) === 0);
      if (hasTouch) assert.equal(await dots(tab), 0, 'a finger leaves nothing behind');
    }),
  );
}

test(
  'a pointer that rests keeps its time while the paper moves on',
  scene(async scene => {
    const program = await scene.start();
    await threeLines(program.url);
    const tab = await scene.open(`${program.url}/?window=15m&chart=three&chart=load1`);
    const paper = await papers(tab, 0);
    await tab.page.mouse.move(paper.x + 0.7 * paper.width, paper.y + paper.height / 2);
    const told = () => tab.page.locator('.pointed').allInnerTexts();
    await until('the time', async () => (await told()).length === 2);
    const times = await told();
    const values = await tab.page.locator('.legend').first().innerText();
    const before = (await tab.timesOfCharts())[1]?.length ?? 0;
    await until(
      'samples that come meanwhile',
      async () => ((await tab.timesOfCharts())[1]?.length ?? 0) > before + 2,
    );
    assert.deepEqual(await told(), times);
    assert.equal(await tab.page.locator('.legend').first().innerText(), values);
  }),
);

test(
  'the pointer tells the sample that it is at, and nothing where there is none near',
  scene(async scene => {
    const program = await scene.start();
    await threeLines(program.url);
    const tab = await scene.open(`${program.url}/?window=15m&chart=three`);
    const paper = await papers(tab, 0);
    const y = paper.y + paper.height / 2;
    await tab.page.mouse.move(paper.x + 0.7 * paper.width, y);
    await until('a dot on each line', async () => (await dots(tab)) === 3);
    // Crosshair and dots are of one time.
    const apart = await tab.page.evaluate(() => {
      const line = document.querySelector('.u-cursor-x')?.getBoundingClientRect().right ?? 0;
      const all = [...document.querySelectorAll('.u-cursor-pt')].map(e => e.getBoundingClientRect());
      return all.map(box => Math.abs(box.x + box.width / 2 - line));
    });
    assert.ok(
      apart.every(distance => distance < 2),
      `the crosshair is at its dots: ${apart}`,
    );
    await tab.page.mouse.move(paper.x + 0.02 * paper.width, y);
    await until('no dot', async () => (await dots(tab)) === 0);
    const values = await tab.page.locator('.legend .value').allInnerTexts();
    assert.deepEqual(values, ['–', '–', '–']);
  }),
);

test(
  'the crosshair of the keys stands on the sample that is read, while the paper moves on',
  scene(async scene => {
    const program = await scene.start();
    const tab = await scene.open(`${program.url}/?window=1m&chart=load1`);
    await until('the history', async () => ((await tab.timesOfCharts())[0]?.length ?? 0) > 3);
    await tab.page.locator('.u-over').waitFor();
    for (let i = 0; i < 12 && !(await tab.page.locator('.plot:focus-visible').count()); i++)
      await tab.page.keyboard.press('Tab');
    await tab.page.keyboard.press('ArrowLeft');
    const stands = () => tab.page.evaluate(() => window.stripchart.charts()[0]?.crosshair ?? 0);
    await until('the crosshair', async () => (await stands()) > 0);
    const told = await tab.page.locator('.pointed').innerText();
    const at = await stands();
    for (let i = 0; i < 3; i++) {
      const newest = (await tab.timesOfCharts())[0]?.at(-1) ?? 0;
      await until(
        'a sample that comes meanwhile',
        async () => ((await tab.timesOfCharts())[0]?.at(-1) ?? 0) > newest,
      );
      assert.equal(await tab.page.locator('.pointed').innerText(), told);
      const now = await stands();
      assert.ok(Math.abs(now - at) <= 20, `the crosshair went from ${at} to ${now}, which is another sample`);
    }
    await tab.page.keyboard.press('p');
    await until('the time to be held', async () => (await tab.page.locator('.pinned').count()) === 1);
    assert.equal(await tab.page.locator('.u-cursor-x').isVisible(), false, 'one line marks one time');
  }),
);

/**
 * Where a chart's paper is, once something is drawn on it.
 *
 * @param {import('../support/tab.js').Tab} tab
 * @param {number} i
 */
async function papers(tab, i) {
  await until('the history', async () => ((await tab.timesOfCharts())[i]?.length ?? 0) > 50);
  const paper = tab.page.locator('.u-over').nth(i);
  await paper.waitFor();
  const found = await paper.boundingBox();
  assert.ok(found);
  return found;
}

/**
 * How many dots mark samples under the pointer.
 *
 * @param {import('../support/tab.js').Tab} tab
 */
function dots(tab) {
  return tab.page.locator('.u-cursor-pt').evaluateAll(
    all =>
      all.filter(element => {
        const box = element.getBoundingClientRect();
        const over = element.parentElement?.getBoundingClientRect();
        return over && box.width > 0 && box.x >= over.x - 4 && !element.classList.contains('u-off');
      }).length,
  );
}
