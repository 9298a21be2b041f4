import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { hatchedStretches } from '../support/chart.js';
import { ALL, history } from '../support/recorder.js';
import { scene } from '../support/scene.js';
import { assertHolds, assertSame, completeUntil } from '../support/series.js';
import { until } from '../support/until.js';

/** Distance of samples, ms. */
const INTERVAL = 200;

/** How long the server is away, ms: long enough to be told from a late tick on a busy machine. */
const AWAY = 4_000;

/** A link to a large chart of total CPU, and one of every series there is. */
const EVERYTHING = `?${['cpu_usage_percent{cpu="total"}', ALL].map(query => `chart=${encodeURIComponent(query)}`).join('&')}`;

test(
  'a page whose server is killed twice ends with every acknowledged sample once, and shows both outages',
  scene(async scene => {
    const program = await scene.start('--interval', `${INTERVAL}ms`);
    const tab = await scene.open(`${program.url}/${EVERYTHING}`);
    const recorders = [await scene.recorder(program)];
    await tab.untilSamples(15);
    tab.expectOutage();

    /** @type {number[]} */
    const kills = [];
    while (kills.length < 2) {
      const killedAt = Date.now();
      kills.push(killedAt);
      await program.kill();
      await tab.untilCondition('lost');
      await sleep(AWAY);
      await program.start();
      recorders.push(await scene.recorder(program));
      await tab.untilCondition('live');
      await tab.untilSamples(15, killedAt + AWAY);
    }

    // What was sent to anybody was acknowledged before: the page has to have it, also what came right before a kill.
    const sent = recorders.map(recorder => recorder.samples());
    const to = Math.max(...sent.map(completeUntil));
    await tab.untilSamples(2, to);
    const held = await tab.samples();
    for (const samples of sent) assertHolds(held, samples);
    assertSame(held, await history(program.url, to), to);

    const outages = holes(await tab.times(), kills);
    assert.equal(outages.length, 2, `two outages in the model: ${JSON.stringify(outages)}`);
    await assertDrawn(tab, outages);
    await tab.page.screenshot({ path: scene.path('two-outages.png') });
  }),
);

test(
  'a planned stop says goodbye, ends with code 0, and the page comes back by itself',
  scene(async scene => {
    const program = await scene.start('--interval', `${INTERVAL}ms`);
    const tab = await scene.open(`${program.url}/${EVERYTHING}`);
    const recorder = await scene.recorder(program);
    await tab.untilSamples(5);
    tab.expectOutage();

    const { code, signal } = await program.stop();
    assert.deepEqual({ code, signal }, { code: 0, signal: null });
    const bye = await recorder.event('bye');
    assert.ok(bye.retry_ms > 0, JSON.stringify(bye));
    assert.equal(recorder.events.at(-1)?.name, '(disconnect)', 'the connection ends after the goodbye');
    await tab.untilCondition('lost');
    assert.equal((await tab.condition()).title, 'server is restarting');

    const before = recorder.samples();
    const stoppedAt = Date.now();
    await program.start();
    await tab.untilCondition('live');
    await tab.untilSamples(5, stoppedAt);
    const held = await tab.samples();
    assertHolds(held, before);
    assertSame(held, await history(program.url, completeUntil(held)), completeUntil(held));
  }),
);

/**
 * The stretches between two samples in which the server was killed.
 *
 * @param {readonly number[]} times
 * @param {readonly number[]} kills
 */
function holes(times, kills) {
  return times.slice(1).flatMap((to, i) => {
    const from = times[i] ?? 0;
    return kills.some(kill => from <= kill + INTERVAL && kill + AWAY <= to) ? [{ from, to }] : [];
  });
}

/**
 * Fails unless the large chart is hatched where the two outages are, and as wide as they are long.
 *
 * @param {import('../support/tab.js').Tab} tab
 * @param {readonly { from: number, to: number }[]} outages
 */
async function assertDrawn(tab, outages) {
  const [first, second] = outages;
  assert.ok(first && second);
  const [one, two] = await until('two hatched stretches on the chart', async () => {
    const stretches = await hatchedStretches(tab.page);
    return stretches.length >= 2 && stretches.slice(-2);
  });
  assert.ok(one && two);
  // The scale follows from where the two begin, and has to fit their widths.
  const perPixel = (second.from - first.from) / (two[0] - one[0]);
  for (const [outage, [left, right]] of /** @type {const} */ ([
    [first, one],
    [second, two],
  ])) {
    const wide = (outage.to - outage.from) / perPixel;
    assert.ok(
      Math.abs(right - left - wide) <= 3,
      `hatched ${right - left} px wide, the outage is ${wide} px`,
    );
  }
}
