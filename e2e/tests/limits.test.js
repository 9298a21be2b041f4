import assert from 'node:assert/strict';
import { test } from 'node:test';
import { scene } from '../support/scene.js';
import { until } from '../support/until.js';
import { write } from '../support/write.js';

test(
  'a value beyond a limit turns its reading, the title and the icon of the tab, and limits are in the link',
  scene(async scene => {
    const program = await scene.start();
    let [batch, value] = [0, 21.5];
    const send = () =>
      write(program.url, 'lab', ++batch, { __name__: 'room_celsius' }, [[Date.now(), value]]);
    await send();
    const timer = setInterval(() => void send().catch(() => {}), 500);
    scene.closing(() => clearInterval(timer));
    const tab = await scene.open(`${program.url}/?chart=room_celsius&warn=24&bad=<5&chart=load1`);
    const reading = tab.page.locator('.reading').first();
    const icon = () => tab.page.locator('link[rel="icon"]').getAttribute('href');
    await until(
      'a value that is all right',
      async () => (await reading.getAttribute('class')) === 'reading ok',
    );
    await until('the title', async () => (await tab.page.title()).startsWith('21.5 °C'));
    const calm = await icon();
    value = 25;
    await until('the warning', async () => (await reading.getAttribute('class')) === 'reading warn');
    await until('the title', async () => (await tab.page.title()).startsWith('warn: Room 25.0 °C'));
    await until('the icon', async () => (await icon()) !== calm);
    const warned = await icon();
    await tab.page.screenshot({ path: scene.path('limits.png') });
    value = 3;
    await until('what is bad', async () => (await reading.getAttribute('class')) === 'reading bad');
    await until('its icon', async () => ![calm, warned].includes(await icon()));

    await tab.page.getByTitle('Change the chart Room').click();
    await tab.page.getByRole('textbox', { name: 'Bad from' }).fill('');
    await tab.page.getByRole('textbox', { name: 'Warn from' }).fill('<4');
    await tab.page.getByRole('button', { name: 'Set' }).click();
    await until('the new limit', async () => (await reading.getAttribute('class')) === 'reading warn');
    const { searchParams } = new URL(tab.page.url());
    assert.deepEqual([searchParams.get('warn'), searchParams.get('bad')], ['<4', null]);
  }),
);
