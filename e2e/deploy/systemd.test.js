import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { ROOT, stripchart } from '../support/paths.js';
import { scene } from '../support/scene.js';

const UNITS = join(ROOT, 'deploy', 'systemd');

/** Where the units expect the program. */
const INSTALLED = '/usr/local/bin/stripchart';

/** The most that `systemd-analyze security` may find, of 10. A unit that got by with more has lost a line. */
const MOST_EXPOSED = 2;

/** What the program ends with when its options are wrong. */
const WRONG_OPTIONS = 64;

test(
  'systemd takes every unit without a word, and finds them closed',
  scene(async scene => {
    const units = (await readdir(UNITS)).filter(name => name.endsWith('.service'));
    assert.ok(units.length >= 3, `units: ${units}`);
    const folder = scene.path('units');
    await mkdir(folder, { recursive: true });
    for (const name of units) {
      const unit = await readFile(join(UNITS, name), 'utf8');
      // Go ends with 2 after a panic and after the watchdog's signal: only wrong options are not tried again.
      assert.match(unit, new RegExp(`^RestartPreventExitStatus=${WRONG_OPTIONS}$`, 'm'), name);
      assert.match(unit, new RegExp(`^ExecStart=${INSTALLED} `, 'm'), name);
      await writeFile(join(folder, name), unit.replaceAll(INSTALLED, stripchart()));
    }
    const paths = units.map(name => join(folder, name));
    const { stdout, stderr } = await analyze('verify', ...paths);
    assert.equal(stdout + stderr, '');
    await analyze('security', '--offline=true', `--threshold=${10 * MOST_EXPOSED}`, ...paths);
  }),
);

test('an example of an environment file sets options of its command, and each once', async () => {
  for (const command of ['serve', 'collect']) {
    const file = `${command}.env`;
    const lines = (await readFile(join(UNITS, file), 'utf8')).split('\n');
    const set = lines.filter(line => line && !line.startsWith('#'));
    for (const line of set) assert.match(line, /^STRIPCHART_[A-Z_]+=\S+$/, file);
    const names = set.map(line => line.split('=')[0]);
    assert.deepEqual(names, [...new Set(names)], file);
    const { stdout: help } = await promisify(execFile)(stripchart(), [command, '--help']);
    for (const name of names)
      assert.ok(help.includes(`$${name})`), `${file}: ${name} is not in ${command} --help`);
  }
});

/** @param {...string} args */
async function analyze(...args) {
  try {
    return await promisify(execFile)('systemd-analyze', ['--no-pager', ...args]);
  } catch (error) {
    const { code, message, stdout } = /** @type {any} */ (error);
    if (code === 'ENOENT') throw new Error('systemd-analyze is missing; run `make deps`');
    throw new Error(`${message}\n${stdout}`);
  }
}
