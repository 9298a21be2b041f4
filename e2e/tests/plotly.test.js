import assert from 'node:assert/strict';
import { test } from 'node:test';
import { figure } from '../support/plotly.js';
import { scene } from '../support/scene.js';
import { ascending } from '../support/series.js';
import { until } from '../support/until.js';

/** What the charts of this file show, seconds. */
const WINDOW = 4;

test(
  'the Flask-SocketIO recipe’s page: points grow, the window slides, a reload shows the history',
  scene(async scene => {
    const program = await scene.start('--interval', '100ms', '--window', `${WINDOW}s`);
    const tab = await scene.open(`${program.url}/plotly`);
    const { page } = tab;
    const window = await page.getAttribute('meta[name=x_window]', 'content');
    assert.equal(window, String(WINDOW));

    const first = await until('ten points', async () => {
      const shown = await figure(page);
      return shown.times.length >= 10 && shown;
    });
    for (const time of first.x) assert.match(time, /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{3})?$/);
    const slid = await until('the first point to leave the window', async () => {
      const shown = await figure(page);
      return (shown.range[0] ?? 0) > (first.times[0] ?? 0) && shown;
    });
    ascending('the trace', slid.times);
    const [from = 0, to = 0] = slid.range;
    assert.equal(to - from, 1000 * WINDOW, 'the axis shows the window');
    assert.equal(to, slid.times.at(-1), 'and ends at the newest point');
    assert.deepEqual(
      slid.x.filter(time => first.x.includes(time)),
      first.x.filter(time => slid.x.includes(time)),
      'what was there stays there',
    );

    const loadedAt = slid.times.at(-1) ?? 0;
    await page.reload();
    const reloaded = await until('the history', async () => {
      const shown = await figure(page);
      // A shared bootstrap may end a little earlier; the first update brings the rest.
      return (shown.times.at(-1) ?? 0) >= loadedAt && shown;
    });
    const [start = 0] = reloaded.range;
    const missing = (reloaded.times[0] ?? 0) - start;
    assert.ok(missing < 1000 * (WINDOW / 2), `the history begins ${missing} ms after the window does`);
    for (const [i, time] of reloaded.x.entries()) {
      const k = slid.x.indexOf(time);
      if (k >= 0) assert.equal(reloaded.y[i], slid.y[k], `the value at ${time}`);
    }
  }),
);

test(
  'Plotly is styled by a style sheet of the server’s, not by rules that the policy would refuse',
  scene(async scene => {
    const program = await scene.start('--interval', '100ms');
    const tab = await scene.open(`${program.url}/plotly`);
    const { page } = tab;
    await until('a point', async () => (await figure(page)).times.length > 0);

    const sheets = await page.evaluate(() =>
      [...document.styleSheets].map(sheet => ({ href: sheet.href, rules: sheet.cssRules.length })),
    );
    assert.ok(
      sheets.some(({ href, rules }) => href?.startsWith(location(program)) && rules > 10),
      JSON.stringify(sheets),
    );
    // Without its rules Plotly's layers stand below each other instead of upon each other.
    const layers = page.locator('.js-plotly-plot .main-svg');
    for (const layer of await layers.all()) {
      assert.equal(await layer.evaluate(svg => getComputedStyle(svg).position), 'absolute');
    }
    assert.ok((await layers.count()) >= 2);
    const policy = (await fetch(`${program.url}/plotly`)).headers.get('content-security-policy') ?? '';
    assert.match(policy, /style-src 'self'(;|$)/);
    assert.doesNotMatch(policy, /unsafe/);
    await page.screenshot({ path: scene.path('plotly.png') });
  }),
);

test(
  '/plotly says what it shows and whether it is live, follows its link, and breaks its line where nothing was measured',
  scene(async scene => {
    const program = await scene.start('--interval', '100ms', '--window', '30s');
    const tab = await scene.open(`${program.url}/plotly?theme=dark`);
    const asked = await scene.open(`${program.url}/plotly?query=load1&window=20s&title=Load`);
    const state = tab.page.locator('#state');
    const says = (/** @type {import('../support/tab.js').Tab} */ of, /** @type {string} */ form) =>
      until(`a page to say ${form}`, async () =>
        (await of.page.locator('#state').innerText()).startsWith(form),
      );
    await says(tab, 'live');
    await says(asked, 'live');
    await until('points', async () => (await figure(tab.page)).times.length > 10);
    const ground = await tab.page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    assert.equal(ground, 'rgb(20, 25, 29)', 'dark, as the link says');
    assert.equal(await asked.page.locator('h1').innerText(), 'Load');
    await until('its points', async () => (await figure(asked.page)).times.length > 10);
    const { range } = await figure(asked.page);
    assert.equal((range[1] ?? 0) - (range[0] ?? 0), 20_000, 'the window of the link');

    for (const { page } of [tab, asked]) page.setDefaultTimeout(60_000);
    tab.expectOutage();
    asked.expectOutage();
    await program.kill();
    await says(tab, 'no server since ');
    await says(asked, 'no server since ');
    // Longer than what is no break yet: three seconds.
    await new Promise(resolve => setTimeout(resolve, 4_000));
    await program.start();
    await says(tab, 'live');
    for (const { page } of [tab, asked])
      await until('a break', async () => {
        const { y, times } = await figure(page);
        ascending('the trace', times);
        const at = y.indexOf(null);
        return at > 0 && typeof y[at - 1] === 'number' && typeof y[at + 1] === 'number';
      });
    assert.equal(await state.getAttribute('role'), 'status');
    await tab.page.screenshot({ path: scene.path('dark.png') });
    await asked.page.screenshot({ path: scene.path('asked.png') });
  }),
);

/** @param {import('../support/program.js').Program} program */
function location(program) {
  return `${program.url}/assets/`;
}
