import assert from 'node:assert/strict';
import { test } from 'node:test';
import { scene } from '../support/scene.js';
import { identity } from '../support/series.js';
import { until } from '../support/until.js';
import { write } from '../support/write.js';

/** Distance of the samples that are written here, ms. */
const INTERVAL = 250;

test(
  'zoomed, moved and paused over kill -9, a cut network, a second host and late samples, a chart holds what the store holds',
  scene(async scene => {
    const program = await scene.start('--interval', '500ms');
    const writer = new Writer(program.url, 'lab');
    scene.closing(() => writer.close());
    const tab = await scene.open(`${program.url}/?chart=room_celsius&chart=load1&window=1m`);
    const { page } = tab;
    await until('some samples', async () => (await chart(tab)).samples.length > 20);
    const reach = async () => {
      const { begun } = writer;
      await until('what was written meanwhile', () => writer.acknowledged > begun + 4);
    };
    /** @type {readonly (readonly [string, () => Promise<void>])[]} */
    const disturbances = [
      [
        'kill -9',
        async () => {
          tab.expectOutage();
          await program.kill();
          await tab.untilCondition('lost');
          await program.start();
        },
      ],
      [
        'a cut network',
        async () => {
          await page.context().setOffline(true);
          await tab.untilCondition('lost');
          await page.context().setOffline(false);
        },
      ],
      [
        'a second host',
        async () => {
          const other = { __name__: 'load1', host: 'other' };
          await write(program.url, 'other', 1, other, [[Date.now(), 7]]);
        },
      ],
    ];
    let late = 0;
    for (const [name, disturb] of disturbances) {
      await drag(page);
      const zoomed = await until(`a stretch, before ${name}`, async () => {
        const shown = await chart(tab);
        return !shown.live && !shown.reading && shown.samples.length > 0 && shown;
      });
      await disturb();
      await tab.untilCondition('live');
      await reach();
      // Between two samples of the stretch that is looked at.
      const at = Math.round((zoomed.from + zoomed.to) / 2) + 1;
      late++;
      await write(program.url, `late-${late}`, 1, writer.labels, [[at, 1000 + late]]);
      await until(`the late sample behind ${name}`, async () =>
        (await chart(tab)).samples.some(([time]) => time === at),
      );
      await assertAsStored(tab, program.url, `zoomed, after ${name}`);
      const still = await chart(tab);
      assert.deepEqual([still.from, still.to], [zoomed.from, zoomed.to], `${name} does not move it`);

      await page.keyboard.press('ArrowLeft');
      await until(`older history, after ${name}`, async () => {
        const shown = await chart(tab);
        return shown.from < zoomed.from && !shown.reading;
      });
      await assertAsStored(tab, program.url, `moved back, after ${name}`);

      await page.keyboard.press(' ');
      await until(`live again, after ${name}`, async () => (await chart(tab)).live);
      await assertAsStored(tab, program.url, `live, after ${name}`);
      await page.screenshot({ path: scene.path(`${name.replace(/\W+/g, '-')}.png`) });
    }
  }),
);

/** Writes a sample after the other, each until it is acknowledged. */
class Writer {
  labels = { __name__: 'room_celsius', room: 'lab' };
  acknowledged = 0;
  begun = 0;
  #closed = false;

  /**
   * @param {string} url
   * @param {string} source
   */
  constructor(url, source) {
    this.done = this.#work(url, source);
  }

  async close() {
    this.#closed = true;
    await this.done;
  }

  async #work(/** @type {string} */ url, /** @type {string} */ source) {
    while (!this.#closed) {
      this.begun++;
      const now = Date.now();
      for (;;) {
        const written = await write(url, source, this.begun, this.labels, [[now, this.begun]]).then(
          () => true,
          () => false,
        );
        if (written || this.#closed) break;
        await new Promise(resolve => setTimeout(resolve, 50));
      }
      this.acknowledged++;
      await new Promise(resolve => setTimeout(resolve, INTERVAL));
    }
  }
}

/**
 * Drags over a part of the first chart.
 *
 * @param {import('playwright-core').Page} page
 */
async function drag(page) {
  const paper = await page.locator('.u-over').first().boundingBox();
  assert.ok(paper);
  const y = paper.y + paper.height / 2;
  // The last seconds: there is something in them, however short the page has been there.
  await page.mouse.move(paper.x + 0.9 * paper.width, y);
  await page.mouse.down();
  await page.mouse.move(paper.x + 0.98 * paper.width, y, { steps: 4 });
  await page.mouse.up();
  await page.mouse.move(paper.x + paper.width / 2, paper.y + paper.height + 60);
}

/**
 * What the first chart shows: the samples of its first series.
 *
 * @param {import('../support/tab.js').Tab} tab
 */
async function chart(tab) {
  const [first] = await tab.page.evaluate(() => window.stripchart.charts());
  assert.ok(first);
  const [times = [], values = []] = first.series[0]?.data ?? [];
  return { ...first, samples: times.map((time, i) => /** @type {[number, number]} */ ([time, values[i]])) };
}

/**
 * Waits until every chart holds just what the store has of the stretch that it shows, up to the newest sample that both know
 * of: a live chart is a moment ahead of the answer, or behind it.
 *
 * @param {import('../support/tab.js').Tab} tab
 * @param {string} url
 * @param {string} when
 */
async function assertAsStored(tab, url, when) {
  let difference = '';
  await until(`the charts to hold what the store holds, ${when}`, async () => {
    const charts = await tab.page.evaluate(() => window.stripchart.charts());
    const [{ from = 0, to = 0 } = {}] = charts;
    const stored = await exported(url, Math.ceil(from), Math.floor(to));
    difference = '';
    let compared = 0;
    for (const { query, series } of charts) {
      for (const { labels, step, data } of series) {
        assert.equal(step, null, `${query} is folded, which this test does not expect`);
        const held = data[0].map((time, i) => /** @type {[number, number]} */ ([time, data[1][i]]));
        const want = stored.get(identity(labels)) ?? [];
        const end = Math.min(to, held.at(-1)?.[0] ?? to, Math.max(...want.map(([time]) => time), from));
        const within = (/** @type {readonly (readonly [number, number])[]} */ all) =>
          JSON.stringify(all.filter(([time]) => time >= from && time <= end));
        compared += want.length;
        if (within(held) !== within(want)) difference = `${query}: ${within(held)} for ${within(want)}`;
      }
    }
    return difference === '' && compared > 5;
  }).catch(error => {
    throw new Error(`${error.message}\n${difference}`);
  });
}

/**
 * What the store has from one time to another.
 *
 * @param {string} url
 * @param {number} from
 * @param {number} to
 */
async function exported(url, from, to) {
  const query = new URLSearchParams([
    ['match[]', 'room_celsius'],
    ['match[]', 'load1'],
    ['start', `${from / 1000}`],
    ['end', `${to / 1000}`],
    ['format', 'jsonl'],
  ]);
  const answer = await fetch(`${url}/api/v1/export?${query}`);
  const text = await answer.text();
  assert.equal(answer.status, 200, text);
  /** @type {Map<string, [number, number][]>} */
  const held = new Map();
  for (const line of text.split('\n').filter(Boolean)) {
    const { metric, values, timestamps } = JSON.parse(line);
    const key = identity(metric);
    const samples = held.get(key) ?? [];
    held.set(key, samples);
    for (const [i, time] of timestamps.entries()) samples.push([time, values[i]]);
  }
  for (const samples of held.values()) samples.sort(([a], [b]) => a - b);
  return held;
}
