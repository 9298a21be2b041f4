import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { threeLines } from '../support/lines.js';
import { scene } from '../support/scene.js';
import { until } from '../support/until.js';

test(
  'a chart leaves the page as a picture with title and times, as numbers, as a link, and fills the screen',
  scene(async scene => {
    const program = await scene.start();
    const end = await threeLines(program.url);
    const from = end - 120_000;
    const link = `${program.url}/?from=${from}&to=${end}&chart=three&title=The+lab&chart=load1`;
    const tab = await scene.open(link, { permissions: ['clipboard-read', 'clipboard-write'] });
    const { page } = tab;
    await until('the stretch', async () => {
      const [chart] = await page.evaluate(() => window.stripchart.charts());
      return chart && !chart.reading && chart.series.length === 3;
    });
    const choose = async (/** @type {string} */ name) => {
      await page.getByTitle('Change the chart The lab').click();
      await page.getByRole('button', { name, exact: true }).first().click();
    };
    const saved = async (/** @type {string} */ kind) => {
      const [download] = await Promise.all([page.waitForEvent('download'), choose(kind)]);
      assert.match(download.suggestedFilename(), new RegExp(`^The-lab-[\\dT-]+\\.${kind.toLowerCase()}$`));
      const path = scene.path(download.suggestedFilename());
      await download.saveAs(path);
      return readFile(path);
    };
    const svg = (await saved('SVG')).toString();
    for (const text of ['The lab', 'low', 'mid', 'high', ' – ']) assert.ok(svg.includes(text), text);
    assert.ok((svg.match(/L[\d.]+ /g)?.length ?? 0) > 300, 'three lines of 120 samples');
    const png = await saved('PNG');
    assert.deepEqual([...png.subarray(0, 4)], [0x89, 0x50, 0x4e, 0x47]);
    assert.ok(png.byteLength > 5_000, `${png.byteLength} bytes`);

    const [head, ...rows] = (await saved('CSV')).toString().trim().split('\n');
    assert.equal(head, 'time,high,low,mid');
    assert.equal(rows.length, 120);
    for (const row of rows) {
      const [time = '', high, low, mid] = row.split(',');
      const i = (new Date(time).getTime() - (end - 600_000)) / 1000;
      assert.deepEqual(
        [high, low, mid].map(Number),
        [1000, 0, 100].map(base => base + (i % 60)),
      );
    }

    await choose('Copy link');
    const copied = new URL(await page.evaluate(() => navigator.clipboard.readText()));
    assert.deepEqual(copied.searchParams.getAll('chart'), ['three']);
    assert.equal(copied.searchParams.get('title'), 'The lab');
    assert.equal(copied.searchParams.get('from'), `${from}`);

    await page.getByTitle('Change the chart The lab').click();
    await page.screenshot({ path: scene.path('menu.png') });
    await page.getByRole('button', { name: 'Full screen' }).first().click();
    await until('the chart alone', () =>
      page.evaluate(() => document.fullscreenElement?.classList.contains('panel') ?? false),
    );
  }),
);
