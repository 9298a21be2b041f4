import assert from 'node:assert/strict';
import { test } from 'node:test';
import { scene } from '../support/scene.js';
import { assertHolds } from '../support/series.js';
import { until } from '../support/until.js';

test(
  'every window that the page offers can be chosen, stays chosen on reload, and loses nothing on the way back',
  scene(async scene => {
    const program = await scene.start('--interval', '200ms');
    const tab = await scene.open(program.url);
    await tab.untilSamples(10);
    assert.equal(await chosen(tab, 'Window'), '100 s');
    const held = await tab.samples();

    for (const { label, text, seconds } of [
      { label: '5 min', text: '5m', seconds: 300 },
      { label: '1 h', text: '1h', seconds: 3_600 },
      { label: '24 h', text: '1d', seconds: 86_400 },
    ]) {
      await choose(tab, label);
      await untilWindow(tab, seconds);
      assert.equal(new URL(tab.page.url()).searchParams.get('window'), text);
      await tab.page.reload();
      await untilWindow(tab, seconds);
      assert.equal(await chosen(tab, 'Window'), label);
    }

    await choose(tab, '5 min');
    await untilWindow(tab, 300);
    await tab.untilSamples(10);
    const now = await tab.samples();
    const [chart] = await tab.page.evaluate(() => window.stripchart.charts());
    const reaches = chart?.from ?? 0;
    const part = new Map(
      [...held].map(([series, samples]) => [series, samples.filter(([time]) => time >= reaches)]),
    );
    assert.ok(
      [...part.values()].some(({ length }) => length > 0),
      'five minutes reach back to the start',
    );
    assertHolds(now, part);
  }),
);

test(
  'a link decides the window, and keys that the page does not know survive a choice',
  scene(async scene => {
    const program = await scene.start('--interval', '200ms', '--window', '30s');
    const plain = await scene.open(program.url);
    await untilWindow(plain, 30);

    const linked = await scene.open(`${program.url}/?window=15m&later=kept`);
    await untilWindow(linked, 900);
    await choose(linked, '5 min');
    await untilWindow(linked, 300);
    const { searchParams } = new URL(linked.page.url());
    assert.equal(searchParams.get('later'), 'kept');
    assert.equal(searchParams.get('window'), '5m');
  }),
);

test(
  'light and dark follow the system until one is chosen, and the choice outlives a reload',
  scene(async scene => {
    const program = await scene.start('--interval', '200ms');
    const tab = await scene.open(program.url, { colorScheme: 'dark' });
    await tab.untilSamples(2);
    assert.ok((await brightness(tab)) < 64, 'dark, as the system is');
    await tab.page.emulateMedia({ colorScheme: 'light' });
    await until('the page to follow', async () => (await brightness(tab)) > 192);

    await tab.page.getByTitle('More').click();
    await choose(tab, 'Dark');
    await until('the page to be dark', async () => (await brightness(tab)) < 64);
    await tab.page.reload();
    await tab.untilSamples(2);
    await tab.page.getByTitle('More').click();
    assert.equal(await chosen(tab, 'Theme'), 'Dark');
    assert.ok((await brightness(tab)) < 64, 'dark after a reload');

    const linked = await scene.open(`${program.url}/?theme=dark`, { colorScheme: 'light' });
    await linked.untilSamples(2);
    assert.ok((await brightness(linked)) < 64, 'dark where the link says so');
  }),
);

/**
 * Chooses as a person does.
 *
 * @param {import('../support/tab.js').Tab} tab
 * @param {string} label
 */
async function choose(tab, label) {
  await tab.page.getByRole('radio', { name: label, exact: true }).locator('xpath=..').click();
}

/**
 * @param {import('../support/tab.js').Tab} tab
 * @param {string} group
 */
async function chosen(tab, group) {
  const radios = tab.page.getByRole('group', { name: group }).getByRole('radio', { checked: true });
  return (await radios.locator('xpath=..').innerText()).trim();
}

/**
 * Waits until every chart shows the history of a window.
 *
 * @param {import('../support/tab.js').Tab} tab
 * @param {number} seconds
 */
async function untilWindow(tab, seconds) {
  await until(`all charts to hold ${seconds} s`, async () => {
    const rooms = await tab.rooms();
    return (
      rooms.length > 0 &&
      rooms.every(room => room.window === seconds && room.position && room.series.length > 0)
    );
  });
}

/**
 * How bright the page's ground is, 0 to 255.
 *
 * @param {import('../support/tab.js').Tab} tab
 */
async function brightness(tab) {
  return tab.page.evaluate(() => {
    const canvas = document.createElement('canvas');
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d'));
    context.fillStyle = getComputedStyle(document.body).backgroundColor;
    context.fillRect(0, 0, 1, 1);
    const [r = 0, g = 0, b = 0] = context.getImageData(0, 0, 1, 1).data;
    return (r + g + b) / 3;
  });
}
