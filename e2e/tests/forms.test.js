import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { threeLines } from '../support/lines.js';
import { scene } from '../support/scene.js';
import { until } from '../support/until.js';

test(
  'a chart takes another form from its menu, keeps it in its link, and tells the values as they are',
  scene(async scene => {
    const program = await scene.start();
    await threeLines(program.url);
    const tab = await scene.open(`${program.url}/?chart=three&window=5m`);
    const { page } = tab;
    const legend = page.locator('.legend .value');
    await until('three lines', async () => (await legend.count()) === 3);
    await page.keyboard.press(' ');
    await page.getByRole('button', { name: 'Back to live' }).waitFor();
    const told = await legend.allInnerTexts();
    for (const [form, word] of /** @type {const} */ ([
      ['stack', 'Stacked areas'],
      ['mirror', 'In above, out below zero'],
      ['log', 'Logarithmic'],
      ['lines', 'Lines'],
    ])) {
      await page.getByTitle('Change the chart Three').click();
      await page.getByRole('combobox', { name: 'Form' }).selectOption({ label: word });
      await until(`${form} in the link`, () => new URL(page.url()).searchParams.get('form') === form);
      await until('the lines again', async () => (await legend.allInnerTexts()).join() === told.join());
      const svg = await picture(page);
      assert.equal(/fill="#[0-9a-f]{8}"/.test(svg), form === 'stack', `${form}: filled areas`);
      if (form === 'log')
        for (const label of ['>1<', '>10<', '>100<']) assert.ok(svg.includes(label), `a tick ${label}`);
      await page.screenshot({ path: scene.path(`${form}.png`) });
    }
  }),
);

test(
  'a chart becomes one for each value of a label, and one again',
  scene(async scene => {
    const program = await scene.start();
    await threeLines(program.url);
    const tab = await scene.open(`${program.url}/?chart=three&window=15m`);
    const { page } = tab;
    const titles = page.locator('.panel h2');
    await until('three lines', async () => (await page.locator('.legend li').count()) === 3);
    await page.getByTitle('Change the chart Three').click();
    await page.getByRole('combobox', { name: 'A chart for each' }).selectOption('line');
    await until(
      'three charts',
      async () => (await titles.allInnerTexts()).join() === 'Three · high,Three · low,Three · mid',
    );
    assert.equal(new URL(page.url()).searchParams.get('by'), 'line');
    await until('their samples', async () => {
      const counts = (await tab.rooms()).map(({ series }) => series.map(({ data }) => data[0].length).join());
      return counts.join(' ') === '600 600 600';
    });
    await page.screenshot({ path: scene.path('each.png') });
    const linked = await scene.open(page.url());
    await until('the same by its link', async () => (await linked.page.locator('.panel h2').count()) === 3);
    await page.getByTitle('Change the chart Three · low').click();
    await page.getByRole('combobox', { name: 'A chart for each' }).selectOption('all in one');
    await until('one chart', async () => (await titles.allInnerTexts()).join() === 'Three');
  }),
);

/**
 * The chart as its menu saves it.
 *
 * @param {import('playwright-core').Page} page
 */
async function picture(page) {
  await page.getByTitle('Change the chart Three').click();
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('button', { name: 'SVG' }).click(),
  ]);
  return readFile(await download.path(), 'utf8');
}
