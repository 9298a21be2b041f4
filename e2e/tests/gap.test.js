import assert from 'node:assert/strict';
import { test } from 'node:test';
import axe from 'axe-core';
import { hatchedStretches } from '../support/chart.js';
import { scene } from '../support/scene.js';
import { until } from '../support/until.js';
import { write } from '../support/write.js';

const LABELS = { __name__: 'room_celsius', room: 'lab' };

test(
  'batches that a source had to drop are a gap at the chart: drawn, told, and there after a reload',
  scene(async scene => {
    const program = await scene.start('--interval', '200ms');
    const now = Math.floor(Date.now() / 1000) * 1000;
    const samples = (/** @type {number} */ from, /** @type {number} */ to) =>
      Array.from(
        { length: (to - from) / 1000 + 1 },
        (_, i) => /** @type {const} */ ([from + 1000 * i, 20 + (i % 3)]),
      );
    const before = samples(now - 60_000, now - 40_000);
    await write(program.url, 'lab', 1, LABELS, before);

    const tab = await scene.open(`${program.url}/?window=5m&chart=room_celsius`);
    await tab.untilSamples(before.length);
    const { page } = tab;
    const note = page.locator('.gaps summary');
    assert.equal(await note.count(), 0, 'nothing is missing yet');

    // Behind a hole a source sends what it measured next by itself, so that the gap ends there.
    await write(program.url, 'lab', 5, LABELS, samples(now - 20_000, now - 20_000));
    await write(program.url, 'lab', 6, LABELS, samples(now - 19_000, now));
    await until('the chart to tell', async () => (await note.count()) === 1);
    // What was measured at its ends may be missing too: a source may publish it in several batches.
    const gap = { from: now - 40_000 - 1, to: now - 20_000 + 1, reason: 'source_dropped' };
    await assertTold(tab, gap);

    // A person with a keyboard, and one who hears the page.
    await page.keyboard.press('Tab');
    for (let i = 0; i < 10 && !(await note.evaluate(e => e === document.activeElement)); i++) {
      await page.keyboard.press('Tab');
    }
    await page.keyboard.press('Enter');
    const why =
      /^samples may be missing from [\d:]{8} to [\d:]{8}: the source lost samples before it could send them$/;
    assert.match(await page.locator('.gaps li').innerText(), why);
    assert.match((await page.locator('.unseen [aria-live=polite]').textContent()) ?? '', why);
    await page.evaluate(axe.source);
    const violations = await page.evaluate(async () => {
      const checker = /** @type {typeof import('axe-core')} */ (/** @type {any} */ (window).axe);
      return (await checker.run()).violations.map(({ id, nodes }) => [id, nodes.map(node => node.html)]);
    });
    assert.deepEqual(violations, []);
    await page.keyboard.press('Enter');

    // A person with a mouse.
    const [stretch] = await hatchedStretches(page);
    assert.ok(stretch);
    const box = await page.locator('.hero canvas').boundingBox();
    assert.ok(box);
    await page.mouse.move(box.x + (stretch[0] + stretch[1]) / 2, box.y + box.height / 2);
    await until('the gap to say what it is', async () =>
      why.test((await page.locator('.hero .u-over').getAttribute('title')) ?? ''),
    );
    await page.screenshot({ path: scene.path('gap.png') });

    await page.reload();
    await tab.untilSamples(2 * before.length);
    await until('the chart to tell again', async () => (await note.count()) === 1);
    await assertTold(tab, gap);
  }),
);

/**
 * Fails unless the page holds the gap, and the large chart is hatched over its whole length and there only.
 *
 * @param {import('../support/tab.js').Tab} tab
 * @param {{ from: number, to: number, reason: string }} gap
 */
async function assertTold(tab, gap) {
  const [room] = await tab.rooms();
  assert.deepEqual(room?.gaps, [gap]);
  assert.equal(await tab.page.locator('.gaps summary').innerText(), '1 gap');
  const wide = await tab.page.evaluate(
    seconds => {
      const over = /** @type {HTMLElement} */ (document.querySelector('.hero .u-over'));
      return (seconds / 300) * over.clientWidth * devicePixelRatio;
    },
    (gap.to - gap.from) / 1000,
  );
  await until('the gap to be hatched', async () => {
    const stretches = await hatchedStretches(tab.page);
    // The silence after the newest sample is hatched too, in time.
    return stretches[0] && Math.abs(stretches[0][1] - stretches[0][0] - wide) <= 3;
  });
}
