import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { io } from 'socket.io-client';
import { stripchart } from '../support/paths.js';
import { scene } from '../support/scene.js';
import { until } from '../support/until.js';

/**
 * Runs stripchart token, and returns what it prints.
 *
 * @param {string} file
 * @param {...string} args
 */
async function token(file, ...args) {
  const { stdout } = await promisify(execFile)(stripchart(), ['token', ...args, '--token-file', file]);
  return stdout.trim();
}

test(
  'a page asks for a token, signs in, comes back to its charts, and asks again when the token is removed',
  scene(async scene => {
    const file = scene.path('tokens');
    const phone = await token(file, 'add', 'phone', '--scope', 'read');
    await token(file, 'add', 'other', '--scope', 'read');
    const program = await scene.start('--interval', '200ms', '--token-file', file);
    const charts = `${program.url}/?window=1m&chart=load1`;
    const tab = await scene.open(charts);
    tab.expectOutage();
    const { page } = tab;
    await page.waitForURL(/\/signin/);
    await page.fill('#token', phone);
    await page.click('button');
    await page.waitForURL(charts);
    await tab.untilCondition('live');
    await token(file, 'remove', 'phone');
    await page.waitForURL(/\/signin/);
  }),
);

test(
  'the token of a link becomes a cookie, and is in no address, history or script',
  scene(async scene => {
    const file = scene.path('tokens');
    const phone = await token(file, 'add', 'phone', '--scope', 'read');
    const program = await scene.start('--interval', '200ms', '--token-file', file);
    const tab = await scene.open(`${program.url}/?window=1m#token=${phone}`);
    await tab.untilCondition('live');
    await tab.untilSamples(3);
    const { page } = tab;
    assert.ok(!page.url().includes('sc_'), page.url());
    const seen = await page.evaluate(() =>
      JSON.stringify([document.cookie, { ...localStorage }, history.state]),
    );
    assert.ok(!seen.includes('sc_') && !seen.includes('stripchart-'), seen);
    const [cookie] = await page.context().cookies();
    assert.ok(cookie?.httpOnly && cookie.sameSite === 'Strict' && !cookie.value.includes(phone));
    await page.reload();
    await tab.untilCondition('live');
    await page.goto(`${program.url}/plotly`);
    await page.waitForFunction(() => document.querySelector('.js-line')?.getAttribute('d'));
    assert.ok(!program.log.some(line => line.includes(phone)), 'the log has no token');
  }),
);

test(
  'the official client sends its token as auth, and is told what is wrong with it',
  scene(async scene => {
    const file = scene.path('tokens');
    const phone = await token(file, 'add', 'phone', '--scope', 'read');
    const program = await scene.start('--interval', '200ms', '--token-file', file);
    for (const { auth, code } of [
      { auth: { token: phone }, code: '' },
      { auth: { token: 'sc_wrong' }, code: 'token_invalid' },
      { auth: {}, code: 'token_required' },
    ]) {
      const socket = io(`${program.url}/live`, { auth, forceNew: true });
      scene.closing(() => socket.close());
      /** @type {string | null} */
      let answer = null;
      socket.on('connect', () => {
        answer = '';
      });
      socket.on('connect_error', error => {
        const { data } = /** @type {Error & {data?: {code: string}}} */ (error);
        answer = data?.code ?? error.message;
      });
      assert.equal(
        await until('an answer', () => answer !== null && { answer }).then(found => found.answer),
        code,
      );
    }
  }),
);
