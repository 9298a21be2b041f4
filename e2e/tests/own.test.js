import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hatchedStretches } from '../support/chart.js';
import { scene } from '../support/scene.js';
import { until } from '../support/until.js';
import { write } from '../support/write.js';

test(
  'a series that no chart shows gets a card by itself, with title and unit, and leaves it when somebody removes it',
  scene(async scene => {
    const program = await scene.start();
    const tab = await scene.open(program.url);
    await tab.untilSamples(2);
    await write(program.url, 'lab', 1, { __name__: 'room_celsius', room: 'lab' }, [[Date.now(), 21.5]]);
    await until('the card', async () => (await titles(tab)).includes('Room'));
    const card = panel(tab, 'Room');
    await until('its value', async () => (await card.innerText()).includes('21.5 °C'));
    await write(program.url, 'lab', 2, { __name__: 'room_celsius', room: 'cellar' }, [[Date.now(), 14]]);
    await until('the other room on the same card', async () => (await card.innerText()).includes('cellar'));
    await tab.page.screenshot({ path: scene.path('card.png') });

    const other = await scene.open(program.url);
    await until('the card on a page that comes later', async () => (await titles(other)).includes('Room'));

    await choose(tab, 'Room', 'Remove');
    await until('the card to go', async () => !(await titles(tab)).includes('Room'));
    assert.equal(new URL(tab.page.url()).searchParams.get('hide'), 'room_celsius');
    await tab.page.goto(program.url);
    await tab.untilSamples(2);
    await write(program.url, 'lab', 3, { __name__: 'train_loss' }, [[Date.now(), 0.5]]);
    await until('the next series', async () => (await titles(tab)).includes('Train loss'));
    assert.ok(!(await titles(tab)).includes('Room'), 'the browser remembers');
  }),
);

test(
  'the command bar finds series by name, label and value, and a chart that it adds is in the link and kept',
  scene(async scene => {
    const program = await scene.start();
    for (const [i, room] of ['lab', 'cellar'].entries())
      await write(program.url, 'lab', i + 1, { __name__: 'room_celsius', room }, [[Date.now(), 20 + i]]);
    const tab = await scene.open(program.url);
    await until('the card of its own', async () => (await titles(tab)).includes('Room'));
    await tab.page.keyboard.press('/');
    const field = tab.page.getByRole('combobox', { name: 'Series, hosts' });
    await field.fill('room cellar');
    const found = tab.page.getByRole('dialog').getByRole('option');
    await until('both forms of it', async () => (await found.count()) === 2);
    assert.match((await found.allInnerTexts()).join(), /room_celsius.*room_celsius\{room="cellar"\}/s);
    await tab.page.screenshot({ path: scene.path('commands.png') });
    await tab.page.keyboard.press('ArrowDown');
    await tab.page.keyboard.press('Enter');
    await until('the chart', async () => (await titles(tab)).includes('Room · cellar'));
    const chosen = tab.page.url();
    assert.match(decodeURIComponent(chosen), /chart=room_celsius\{room="cellar"\}/);
    await until('its sample', async () =>
      (await panel(tab, 'Room · cellar').innerText()).includes('21.0 °C'),
    );

    await choose(tab, 'Room · cellar', 'Move on');
    await until('the order', async () => (await titles(tab)).slice(0, 2).join() === 'Room,Room · cellar');
    await panel(tab, 'Room · cellar').locator('.menu summary').click();
    await panel(tab, 'Room · cellar').getByRole('textbox', { name: 'Title' }).fill('Wine');
    await tab.page.keyboard.press('Enter'); // as the button would
    await until('the title', async () => (await titles(tab))[1] === 'Wine');

    await tab.page.goto(program.url);
    await until('the view that the browser has kept', async () => (await titles(tab))[1] === 'Wine');
    const other = await scene.open(chosen);
    await until('the view of a link', async () => (await titles(other))[0] === 'Room · cellar');

    await choose(tab, 'Wine', 'Back to the page’s own charts');
    await until('the page as it was', async () => !(await titles(tab)).includes('Wine'));
    assert.equal(new URL(tab.page.url()).searchParams.has('chart'), false);
  }),
);

test(
  'a query with a slip of the pen says so, names what is near, and takes it',
  scene(async scene => {
    const program = await scene.start();
    await write(program.url, 'lab', 1, { __name__: 'room_celsius' }, [[Date.now(), 21.5]]);
    const tab = await scene.open(`${program.url}/?chart=rom_celsus&chart=load1`);
    const message = tab.page.locator('.message').first();
    await until('the words', async () => (await message.innerText()).includes('no such series: rom_celsus'));
    await tab.page.screenshot({ path: scene.path('near.png') });
    await message.getByRole('button', { name: 'room_celsius' }).click();
    await until('the chart', async () => (await panel(tab, 'Room').innerText()).includes('21.5 °C'));
    assert.deepEqual(new URL(tab.page.url()).searchParams.getAll('chart'), ['room_celsius', 'load1']);
  }),
);

test(
  'a series that ended before the window says when, and one click shows it',
  scene(async scene => {
    const program = await scene.start();
    await write(program.url, 'lab', 1, { __name__: 'just_one' }, [[Date.now() - 150_000, 42]]);
    const tab = await scene.open(`${program.url}/?chart=just_one&chart=load1`);
    const message = tab.page.locator('.message').first();
    await until('the words', async () =>
      /no sample in the last 100 s; the last one was \d+ (s|min) ago: 42/.test(await message.innerText()),
    );
    await message.getByRole('button', { name: 'Show 5 min' }).click();
    await until('the sample', async () => (await panel(tab, 'Just one').innerText()).includes('42'));
  }),
);

test(
  'the chosen host narrows charts of a link too, and one that is not there is told',
  scene(async scene => {
    const program = await scene.start();
    for (const [i, host] of ['web1', 'web2'].entries())
      await write(program.url, host, 1, { __name__: 'room_celsius', host }, [[Date.now(), 20 + i]]);
    const tab = await scene.open(`${program.url}/?chart=room_celsius`);
    const card = panel(tab, 'Room');
    await until('both hosts', async () => /web1.*web2/s.test(await card.innerText()));
    await tab.page.getByRole('combobox', { name: 'Host' }).selectOption('web2');
    await until('one host', async () => {
      const text = await card.innerText();
      return text.includes('21.0 °C') && !text.includes('web1');
    });
    const lost = await scene.open(`${program.url}/?host=nosuchhost`);
    await until('the words', async () =>
      (await lost.page.locator('.notes').innerText()).includes('There is no host “nosuchhost”'),
    );
    const options = await lost.page.getByRole('combobox', { name: 'Host' }).locator('option').allInnerTexts();
    assert.ok(options.includes('web1') && options.includes('web2'), `hosts to choose: ${options}`);
  }),
);

test(
  'what a link asks for and cannot have is told',
  scene(async scene => {
    const program = await scene.start();
    const tab = await scene.open(`${program.url}/?window=1e99&${'chart=load1&'.repeat(30)}`);
    const notes = tab.page.locator('.notes p');
    await until('two sentences', async () => (await notes.count()) === 2);
    assert.match(
      (await notes.allInnerTexts()).join('\n'),
      /“1e99” is no window.*\n24 of the link’s 30 charts/,
    );
    assert.equal((await titles(tab)).length, 24);
  }),
);

test(
  'lines of several units have a unit each, and their axis has none',
  scene(async scene => {
    const program = await scene.start();
    await write(program.url, 'a', 1, { __name__: 'x_bytes', kind: 'mixed' }, [[Date.now(), 2 ** 30]]);
    await write(program.url, 'b', 1, { __name__: 'x_percent', kind: 'mixed' }, [[Date.now(), 55]]);
    const tab = await scene.open(`${program.url}/?chart={kind="mixed"}`);
    const legend = tab.page.locator('.legend');
    await until('both values', async () => /1\.00 GiB.*55\.0 %/s.test(await legend.innerText()));
    assert.match(await legend.innerText(), /several units/);
  }),
);

test(
  'lines that a pipe pushed at once show no rhythm, so nothing is said to be stale',
  scene(async scene => {
    const program = await scene.start('--interval', '200ms');
    const tab = await scene.open(`${program.url}/?chart=demo&chart=.cpu`);
    const body = '1\n2\n3\n4\n5\n';
    assert.ok((await fetch(`${program.url}/api/v1/push/demo`, { method: 'POST', body })).ok);
    const card = panel(tab, 'Demo');
    await until('the last of them', async () => (await card.locator('.reading').innerText()) === '5');
    const state = card.locator('.state');
    await until('the words of an old sample', async () => (await state.count()) === 1);
    assert.match(await state.innerText(), /^last sample \d\d:\d\d:\d\d$/);
    assert.equal(await card.locator('.silent, .fault').count(), 0);
    assert.deepEqual(await hatchedStretches(tab.page), []);
    await tab.page.screenshot({ path: scene.path('burst.png') });
  }),
);

/**
 * The titles of the charts, in their order.
 *
 * @param {import('../support/tab.js').Tab} tab
 */
function titles(tab) {
  return tab.page.locator('.panel h2').allInnerTexts();
}

/**
 * The chart of a title.
 *
 * @param {import('../support/tab.js').Tab} tab
 * @param {string} title
 */
function panel(tab, title) {
  return tab.page.locator('.panel', { has: tab.page.getByRole('heading', { name: title, exact: true }) });
}

/**
 * Chooses from the menu of a chart.
 *
 * @param {import('../support/tab.js').Tab} tab
 * @param {string} title
 * @param {string} action
 */
async function choose(tab, title, action) {
  await panel(tab, title).locator('.menu summary').click();
  await panel(tab, title).getByRole('button', { name: action }).click();
}
