import assert from 'node:assert/strict';
import { test } from 'node:test';
import { scene } from '../support/scene.js';
import { until } from '../support/until.js';
import { write } from '../support/write.js';

const ROOM = { __name__: 'room_celsius', room: 'lab' };

/**
 * Writes ten minutes of samples, one a second, and returns them.
 *
 * @param {string} url
 */
async function tenMinutes(url) {
  const end = Math.floor(Date.now() / 1000) * 1000;
  const samples = Array.from(
    { length: 600 },
    (_, i) => /** @type {[number, number]} */ ([end - 1000 * (600 - i), 20 + (i % 50) / 10]),
  );
  for (let i = 0; i < 600; i += 300) await write(url, 'lab', 1 + i / 300, ROOM, samples.slice(i, i + 300));
  return samples;
}

test(
  'a stretch that is dragged on one chart is shown by all of them, and a double click or Back takes it back',
  scene(async scene => {
    const program = await scene.start();
    const written = await tenMinutes(program.url);
    const tab = await scene.open(`${program.url}/?window=15m&chart=room_celsius&chart=load1&chart=load5`);
    await tab.untilCondition('live');
    await until('the history', async () => (await shown(tab)).samples.length >= 600);
    const paper = await box(tab, 0);
    const y = paper.y + paper.height / 2;
    await tab.page.mouse.move(paper.x + 0.6 * paper.width, y);
    await tab.page.mouse.down();
    await tab.page.mouse.move(paper.x + 0.7 * paper.width, y, { steps: 4 });
    const marks = tab.page.locator('.u-select');
    const widths = await marks.evaluateAll(all => all.map(e => e.getBoundingClientRect().width));
    assert.ok(
      widths.every(width => width > 30),
      `marked on every chart: ${widths}`,
    );
    await tab.page.screenshot({ path: scene.path('selecting.png') });
    await tab.page.mouse.up();
    const zoomed = await untilShown(tab, 'the stretch', ({ live, reading }) => !live && !reading);
    assert.ok(zoomed.to - zoomed.from > 60_000 && zoomed.to - zoomed.from < 120_000, 'a tenth of 15 minutes');
    const charts = await tab.page.evaluate(() => window.stripchart.charts());
    assert.equal(new Set(charts.map(({ from, to }) => `${from} ${to}`)).size, 1, 'all charts follow');
    assert.deepEqual(within(zoomed.samples, zoomed), within(written, zoomed));
    await tab.page.screenshot({ path: scene.path('zoomed.png') });

    await tab.page.goBack();
    await untilShown(tab, 'live, after Back', ({ live }) => live);
    await tab.page.goForward();
    await untilShown(tab, 'the stretch, after Forward', ({ from }) => from === zoomed.from);
    const linked = await scene.open(tab.page.url());
    const same = await untilShown(
      linked,
      'the stretch of the link',
      ({ reading, samples }) => !reading && samples.length > 0,
    );
    assert.deepEqual([same.from, same.to], [zoomed.from, zoomed.to]);
    assert.deepEqual(within(same.samples, same), within(written, same));
    const again = await box(tab, 0);
    await tab.page.mouse.dblclick(again.x + again.width / 2, again.y + again.height / 2);
    await untilShown(tab, 'live, after a double click', ({ live }) => live);
    assert.equal(new URL(tab.page.url()).searchParams.get('window'), '15m');
  }),
);

test(
  'a paused page stands still while samples come, has late ones too, and goes on live without a hole',
  scene(async scene => {
    const program = await scene.start();
    const tab = await scene.open(`${program.url}/?chart=load1&chart=room_celsius`);
    await tab.untilSamples(3);
    await tab.page.keyboard.press(' ');
    const paused = await untilShown(tab, 'a page that stands still', ({ live }) => !live);
    const says = () => tab.page.locator('.condition').innerText();
    await until('the page to say that it is not live', async () => (await says()).startsWith('paused'));
    const held = (await tab.times()).length;
    const meanwhile = await until('samples that come meanwhile', async () => {
      const times = await tab.times();
      return times.length > held + 3 && times;
    });
    const still = await shown(tab);
    assert.deepEqual([still.from, still.to], [paused.from, paused.to]);

    const late = paused.to - 20_500;
    await write(program.url, 'lab', 1, ROOM, [[late, 33]]);
    await until('the late sample', async () => {
      const charts = await tab.page.evaluate(() => window.stripchart.charts());
      return charts[1]?.series[0]?.data[0].includes(late);
    });
    await tab.page.screenshot({ path: scene.path('paused.png') });

    tab.expectOutage();
    await program.kill();
    await tab.untilCondition('lost');
    await program.start();
    await tab.untilCondition('live');
    assert.equal((await shown(tab)).from, paused.from, 'an outage does not move it');

    await tab.page.getByRole('button', { name: 'Back to live' }).click();
    await untilShown(tab, 'live', ({ live }) => live);
    const rooms = await tab.rooms();
    const times = rooms[0]?.series[0]?.data[0] ?? [];
    const lost = meanwhile.filter(time => time > paused.to && !times.includes(time));
    assert.deepEqual(lost, [], 'what came behind the pause is there');
  }),
);

test(
  'arrow keys go back in time as far as there is history, and on to live again',
  scene(async scene => {
    const program = await scene.start();
    const written = await tenMinutes(program.url);
    const tab = await scene.open(`${program.url}/?chart=room_celsius&chart=load1`);
    await tab.untilSamples(50);
    for (let i = 0; i < 14; i++) await tab.page.keyboard.press('ArrowLeft');
    const first = written[0]?.[0] ?? 0;
    const old = await untilShown(tab, 'older history', ({ to, reading, samples }) => {
      return to < Date.now() - 300_000 && !reading && samples.length > 0;
    });
    assert.ok(old.from > first, 'within what was written');
    assert.deepEqual(within(old.samples, old), within(written, old));
    for (let i = 0; i < 20; i++) await tab.page.keyboard.press('ArrowRight');
    await untilShown(tab, 'live again', ({ live }) => live);

    const paper = await box(tab, 0);
    const y = paper.y + paper.height / 2;
    const begun = Date.now();
    await tab.page.keyboard.down('Shift');
    await tab.page.mouse.move(paper.x + 100, y);
    await tab.page.mouse.down();
    await tab.page.mouse.move(paper.x + 100 + paper.width / 2, y, { steps: 5 });
    await tab.page.mouse.up();
    await tab.page.keyboard.up('Shift');
    const pulled = await untilShown(tab, 'the pulled paper', ({ live, reading }) => !live && !reading);
    const [most, least] = [begun, Date.now()].map(now => now - 50_000 - pulled.to);
    assert.ok(
      (most ?? 0) < 5_000 && (least ?? 0) > -5_000,
      `half a window back from when the paper was taken hold of: ${most} to ${least} ms`,
    );
    assert.deepEqual(within(pulled.samples, pulled), within(written, pulled));
  }),
);

/**
 * What the first chart shows, with the samples of its first series.
 *
 * @param {import('../support/tab.js').Tab} tab
 */
async function shown(tab) {
  const charts = await tab.page.evaluate(() => window.stripchart.charts());
  const { from = 0, to = 0, live = true, reading = true, series = [] } = charts[0] ?? {};
  const [times = [], values = []] = series[0]?.data ?? [];
  const samples = times.map((time, i) => /** @type {[number, number]} */ ([time, values[i]]));
  return { from, to, live, reading, samples };
}

/**
 * Waits until what the first chart shows is as `wanted`.
 *
 * @param {import('../support/tab.js').Tab} tab
 * @param {string} what
 * @param {(chart: Awaited<ReturnType<typeof shown>>) => boolean} wanted
 */
function untilShown(tab, what, wanted) {
  return until(what, async () => {
    const chart = await shown(tab);
    return wanted(chart) && chart;
  });
}

/**
 * The samples of a stretch.
 *
 * @param {readonly [number, number][]} samples
 * @param {{ from: number, to: number }} stretch
 */
function within(samples, { from, to }) {
  return samples.filter(([time]) => time >= from && time <= to);
}

/**
 * Where a chart's paper is.
 *
 * @param {import('../support/tab.js').Tab} tab
 * @param {number} i
 */
async function box(tab, i) {
  const found = await tab.page.locator('.u-over').nth(i).boundingBox();
  assert.ok(found);
  return found;
}
