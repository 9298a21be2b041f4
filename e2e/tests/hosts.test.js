import assert from 'node:assert/strict';
import { test } from 'node:test';
import { scene } from '../support/scene.js';
import { until } from '../support/until.js';
import { write } from '../support/write.js';

test(
  'a line that is over says since when, and looks it, while the others of its chart go on',
  scene(async scene => {
    const program = await scene.start();
    const batches = { web1: 0, web2: 0 };
    const send = (/** @type {'web1' | 'web2'} */ host, /** @type {number} */ time) =>
      write(program.url, host, ++batches[host], { __name__: 'temperature_celsius', host }, [
        [time, 20 + batches[host]],
      ]);
    const start = Date.now() - 4_000;
    for (let i = 0; i < 4; i++) {
      await send('web1', start + 1_000 * i);
      await send('web2', start + 1_000 * i);
    }
    const tab = await scene.open(`${program.url}/?chart=temperature_celsius&chart=load1`);
    await tab.untilSamples(3);
    const item = (/** @type {string} */ host) => tab.page.locator('.legend li', { hasText: host });
    const timer = setInterval(() => void send('web1', Date.now()).catch(() => {}), 1_000);
    scene.closing(() => clearInterval(timer));
    // Where both are silent for a moment, the chart says so and not its lines.
    await until(
      'the line that is over to say so, and look it',
      async () =>
        (await item('web2').getAttribute('class')) === 'silent' &&
        /since \d\d:\d\d:\d\d$/.test(await item('web2').innerText()),
    );
    await until('the other line to go on', async () => (await item('web1').getAttribute('class')) === '');
    await tab.page.screenshot({ path: scene.path('silent.png') });
  }),
);

test(
  'a host that joins takes no chart of an open page over',
  scene(async scene => {
    const program = await scene.start();
    const tab = await scene.open(program.url);
    await tab.untilSamples(2);
    const titles = () => tab.page.locator('.panel h2').allInnerTexts();
    await until('the charts of the host', async () => (await titles()).length > 7);
    const own = await tab.page.locator('.host').innerText();
    const cores = { __name__: 'cpu_usage_percent', host: '000-first-by-name' };
    await write(program.url, 'other', 1, { ...cores, cpu: 'total' }, [[Date.now(), 50]]);
    await until('the choice of hosts', async () => (await tab.page.locator('select.host').count()) === 1);
    await until('charts that say whose they are', async () =>
      (await titles()).some(t => t.startsWith('CPU by core ·')),
    );
    assert.deepEqual(
      (await titles()).filter(title => title.includes('·') && !title.endsWith(`· ${own}`)),
      [],
    );
  }),
);

test(
  'several hosts have a row each with their state and readings, a click shows one, and its readings a chart',
  scene(async scene => {
    const program = await scene.start();
    const now = Date.now();
    for (const [i, host] of ['web1', 'web2'].entries()) {
      const labels = { __name__: 'cpu_usage_percent', cpu: 'total', host };
      const samples = Array.from(
        { length: 20 },
        (_, k) => /** @type {[number, number]} */ ([now - 1000 * (20 - k), 10 * (i + 1)]),
      );
      await write(program.url, host, 1, labels, samples);
    }
    const tab = await scene.open(program.url);
    const row = (/** @type {string} */ host) => tab.page.locator('.hosts tbody tr', { hasText: host });
    await until('the rows', async () => (await tab.page.locator('.hosts tbody tr').count()) === 3);
    await until('a value', async () => (await row('web2').innerText()).includes('20.0 %'));
    await until('the silent host to be told', async () =>
      /silent since \d\d:\d\d:\d\d/.test(await row('web1').innerText()),
    );
    await tab.page.screenshot({ path: scene.path('hosts.png') });
    await row('web2').getByRole('button').click();
    await until('its readings', async () => (await tab.page.locator('.readings li').count()) === 5);
    assert.equal(new URL(tab.page.url()).searchParams.get('host'), 'web2');
    await tab.page.getByTitle('Load of web2').click();
    const focused = await tab.page.evaluate(() => document.activeElement?.getAttribute('title'));
    assert.equal(focused, 'Change the chart Load');
  }),
);

test(
  'a host that falls silent is told in the head of the page and where hosts are chosen',
  scene(async scene => {
    const program = await scene.start();
    const now = Date.now();
    const samples = Array.from(
      { length: 20 },
      (_, i) => /** @type {[number, number]} */ ([now - 1000 * (20 - i), 50]),
    );
    await write(
      program.url,
      'web2',
      1,
      { __name__: 'cpu_usage_percent', cpu: 'total', host: 'web2' },
      samples,
    );
    const tab = await scene.open(program.url);
    await until('the words', async () => (await tab.condition()).detail === '1 of 2 hosts silent');
    await tab.untilCondition('live');
    const options = await tab.page.locator('select.host option').allInnerTexts();
    assert.ok(options.includes('web2 · silent'), `hosts: ${options}`);
    await tab.page.screenshot({ path: scene.path('silent-host.png') });
  }),
);
