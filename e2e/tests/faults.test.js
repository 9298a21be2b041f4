import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hatchedStretches, LARGE } from '../support/chart.js';
import { scene } from '../support/scene.js';
import { until } from '../support/until.js';
import { write } from '../support/write.js';

test(
  'pauses of a series that promises no rhythm are no outages',
  scene(async scene => {
    const program = await scene.start();
    // A training run: a step every half second, and six seconds of evaluation after each forty of them.
    const samples = /** @type {[number, number][]} */ ([]);
    const end = Date.now();
    for (let run = 0; run < 4; run++) {
      for (let step = 0; step < 40; step++)
        samples.push([end - 26_000 * (3 - run) - 500 * (40 - step), 0.5 + step / 100]);
    }
    const labels = { __name__: 'train_loss' };
    await write(program.url, 'run', 1, labels, samples);
    let batch = 1;
    const timer = setInterval(
      () => void write(program.url, 'run', ++batch, labels, [[Date.now(), 0.7]]).catch(() => {}),
      1_000,
    );
    scene.closing(() => clearInterval(timer));
    const tab = await scene.open(`${program.url}/?chart=train_loss`);
    await tab.untilSamples(100);
    await tab.untilCondition('live');
    await until('the drawing', () => painted(tab.page));
    assert.deepEqual(await hatchedStretches(tab.page), []);
    assert.equal(await tab.page.locator('.panel .state').count(), 0, 'nothing is said to be stale');
    await tab.page.screenshot({ path: scene.path('pauses.png') });
  }),
);

test(
  'the time before the first sample is hatched where there were samples before the window, and said to be the beginning else',
  scene(async scene => {
    const program = await scene.start();
    const now = Math.floor(Date.now() / 1000) * 1000;
    const samples = (/** @type {number} */ until, /** @type {number} */ count) =>
      Array.from(
        { length: count },
        (_, i) => /** @type {[number, number]} */ ([until - 1000 * (count - i), 20]),
      );
    for (const [i, name] of ['old', 'young'].entries()) {
      const before = name === 'old' ? samples(now - 140_000, 60) : [];
      await write(program.url, name, i + 1, { __name__: name }, [...before, ...samples(now, 20)]);
    }
    const old = await scene.open(`${program.url}/?chart=old`);
    await until('the hole from the left edge on', () => hatchedAtTheLeft(old.page));
    const [told] = await old.page.evaluate(() => window.stripchart.charts());
    assert.equal(told?.began, null);
    await old.page.screenshot({ path: scene.path('hole.png') });
    const young = await scene.open(`${program.url}/?chart=young`);
    await until('the beginning', async () => {
      const [chart] = await young.page.evaluate(() => window.stripchart.charts());
      return chart?.began === now - 20_000;
    });
    assert.equal(await hatchedAtTheLeft(young.page), false);
    await young.page.screenshot({ path: scene.path('beginning.png') });
  }),
);

test(
  'in a declared gap no dots are drawn',
  scene(async scene => {
    const program = await scene.start();
    const labels = { __name__: 'room_celsius' };
    const now = Math.floor(Date.now() / 1000) * 1000;
    const from = (/** @type {number} */ start, /** @type {number} */ count) =>
      Array.from(
        { length: count },
        (_, i) => /** @type {[number, number]} */ ([start + 1000 * i, 20 + (i % 7) / 10]),
      );
    await write(program.url, 'lab', 1, labels, from(now - 80_000, 20));
    // Batch 2 never comes: what lies between is a gap, in which a late batch has some samples.
    await write(program.url, 'lab', 3, labels, from(now - 20_000, 15));
    await write(program.url, 'lab', 4, labels, from(now - 50_000, 10));
    const tab = await scene.open(`${program.url}/?window=5m&chart=room_celsius`);
    await tab.page.locator(LARGE).waitFor();
    const stretch = await until('the gap', async () => {
      const stretches = await hatchedStretches(tab.page);
      return stretches.find(([left, right]) => right - left > 100) ?? false;
    });
    const [left, right] = stretch;
    await tab.page.screenshot({ path: scene.path('gap.png') });
    assert.equal(await inked(tab.page, left + 12, right - 12), 0, 'ink in the gap');
    assert.ok((await inked(tab.page, 0, left)) > 20, 'ink before it');
  }),
);

test(
  'a page whose every chart is refused has nothing to show, and is not connecting for ever',
  scene(async scene => {
    const program = await scene.start();
    const tab = await scene.open(`${program.url}/?chart=rate(load1[1m])`);
    await until('the words', async () => (await tab.condition()).title === 'nothing to show');
  }),
);

test(
  'a server that stays away is told, in the tab too, and by its shape where colours are forced',
  scene(async scene => {
    const program = await scene.start();
    const tab = await scene.open(`${program.url}/?chart=load1`);
    await tab.untilCondition('live');
    await until('the value in the title', async () =>
      /^[\d.]+ · .+ · Stripchart$/.test(await tab.page.title()),
    );
    await tab.page.emulateMedia({ forcedColors: 'active' });
    const lamp = () =>
      tab.page.locator('.lamp').evaluate(element => {
        const { borderRadius, borderStyle, backgroundColor } = getComputedStyle(element);
        return [borderRadius, borderStyle, backgroundColor].join();
      });
    const live = await lamp();
    const icon = () => tab.page.locator('link[rel="icon"]').getAttribute('href');
    const before = await icon();
    tab.expectOutage();
    await program.stop();
    await until('the words', async () => (await tab.condition()).title === 'no server');
    assert.match((await tab.condition()).detail, /^since \d\d:\d\d:\d\d/);
    assert.match(await tab.page.title(), /^no server · /);
    assert.notEqual(await icon(), before);
    await until('another shape', async () => (await lamp()) !== live);
    await program.start();
    await tab.untilCondition('live');
    await until('the icon of a live page', async () => (await icon()) === before);
  }),
);

test(
  'a legend that leaves lines out begins with the highest, and tells names by what differs',
  scene(async scene => {
    const program = await scene.start();
    const now = Date.now();
    const path = '/api/v1/very/long/path/segment';
    for (let i = 0; i < 24; i++) {
      await write(program.url, 'many', i + 1, { __name__: 'requests', path: `${path}/r${i}` }, [
        [now - 1000, 10 * ((7 * i) % 24)],
      ]);
    }
    const tab = await scene.open(`${program.url}/?chart=requests`);
    const values = tab.page.locator('.legend .value');
    await until('twenty lines', async () => (await values.count()) === 20);
    const numbers = (await values.allInnerTexts()).map(Number);
    assert.deepEqual(
      numbers,
      [...numbers].sort((a, b) => b - a),
    );
    const names = await tab.page.locator('.legend .key').allInnerTexts();
    assert.ok(
      names.every(name => name.length < 12),
      `names: ${names}`,
    );
    assert.equal(new Set(names).size, 20);
  }),
);

test(
  'what browsers ask for by themselves is there, and ? tells the keys',
  scene(async scene => {
    const program = await scene.start();
    for (const name of ['favicon.ico', 'robots.txt']) {
      const answer = await fetch(`${program.url}/${name}`);
      assert.equal(answer.status, 200, name);
      assert.ok((await answer.arrayBuffer()).byteLength > 10, name);
    }
    const tab = await scene.open(`${program.url}/?chart=load1`);
    await tab.untilSamples(1);
    await tab.page.keyboard.press('?');
    const keys = tab.page.getByRole('dialog', { name: 'Keys' });
    await keys.waitFor();
    await tab.page.screenshot({ path: scene.path('keys.png') });
    await keys.getByRole('checkbox').uncheck();
    await tab.page.keyboard.press('Escape');
    await keys.waitFor({ state: 'detached' });
    await tab.page.keyboard.press('/');
    await tab.page.keyboard.press('?');
    await keys.waitFor();
    assert.equal(await tab.page.getByRole('dialog').count(), 1, 'single keys are off');
    await keys.getByRole('checkbox').check();
    await tab.page.keyboard.press('Escape');
    await keys.waitFor({ state: 'detached' });
    // The page listens to keys again a moment after the dialog is gone.
    await until('a key to open the command bar', async () => {
      await tab.page.keyboard.press('/');
      return tab.page.getByRole('dialog', { name: 'Find' }).isVisible();
    });
  }),
);

/**
 * Whether the large chart is hatched from its left edge on.
 *
 * @param {import('playwright-core').Page} page
 */
async function hatchedAtTheLeft(page) {
  await page.locator(LARGE).waitFor();
  const [first] = await hatchedStretches(page);
  // The value axis takes this much.
  return first !== undefined && first[0] < 90;
}

/**
 * Whether anything of a line is on the large chart.
 *
 * @param {import('playwright-core').Page} page
 */
async function painted(page) {
  return (await inked(page, 0, 1e9)) > 20;
}

/**
 * How many pixels of the large chart's canvas have the colour of a line alone, between two of its columns.
 *
 * @param {import('playwright-core').Page} page
 * @param {number} left
 * @param {number} right
 */
function inked(page, left, right) {
  return page.evaluate(
    ([selector, left, right]) => {
      const canvas = /** @type {HTMLCanvasElement | null} */ (document.querySelector(selector));
      if (!canvas) return 0;
      const copy = document.createElement('canvas');
      copy.width = canvas.width;
      copy.height = canvas.height;
      const context = /** @type {CanvasRenderingContext2D} */ (copy.getContext('2d'));
      context.drawImage(canvas, 0, 0);
      const width = Math.min(right, canvas.width) - left;
      const { data } = context.getImageData(left, 0, width, canvas.height);
      let count = 0;
      for (let i = 0; i < data.length; i += 4) {
        const [r = 0, g = 0, b = 0, a = 0] = data.subarray(i, i + 4);
        if (a > 200 && r < 40 && Math.abs(g - 0x63) < 40 && b > 0x80) count++;
      }
      return count;
    },
    /** @type {const} */ ([LARGE, left, right]),
  );
}
