import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { freePort } from '../clients/support/port.js';
import { history } from '../support/recorder.js';
import { scene } from '../support/scene.js';
import { assertHolds } from '../support/series.js';
import { until } from '../support/until.js';
import { handedOut } from './handed-out.js';
import { startMachine } from './machine.js';

const UNIT = 'stripchart';

test(
  'the package for Debian is installed, upgraded with its data and its settings, removed but for both, and purged without a trace',
  scene(async scene => {
    const packed = await handedOut('.deb');
    const newer = await nextVersion(packed, scene.path('newer'));
    const machine = await startMachine(scene, [packed, newer]);
    const url = `http://127.0.0.1:${await freePort()}`;
    const install = (/** @type {string} */ path) => machine.run(`dpkg -i packages/${path.split('/').at(-1)}`);
    const isThere = (/** @type {string} */ path) =>
      machine.run(`test -e ${path}`).then(
        () => true,
        () => false,
      );

    // Installed, it waits to be started, and serves the page as its own user.
    assert.deepEqual(await traces(machine), []);
    assert.match(await install(packed), /systemctl enable --now stripchart/);
    assert.equal((await machine.unit(UNIT)).active, 'inactive');
    await machine.run(
      `echo STRIPCHART_LISTEN=${url.replace('http://', '')} >> /etc/stripchart/stripchart.env && systemctl enable --now ${UNIT}`,
    );
    const before = await machine.unit(UNIT);
    assert.equal(
      (await machine.run(`stat -c %U /proc/${before.pid} /var/lib/stripchart`)).trim(),
      'stripchart\nstripchart',
    );
    assert.match(await (await fetch(url)).text(), /<script/);
    for (const path of ['share/man/man1/stripchart.1.gz', 'share/bash-completion/completions/stripchart'])
      assert.ok(await isThere(`/usr/${path}`), path);
    const held = await until('some history', async () => {
      const held = await history(url, Date.now());
      return [...held.values()].some(samples => samples.length >= 3) && held;
    });

    // Upgraded, it goes on with what it had.
    assert.doesNotMatch(await install(newer), /systemctl enable/);
    await until('the new version to run', async () => {
      const after = await machine.unit(UNIT);
      return after.active === 'active' && after.pid !== before.pid;
    });
    assert.match(await machine.run('dpkg -s stripchart'), /^Version: .*\+next$/m);
    assertHolds(await history(url, Date.now()), held);

    // Removed, it leaves what it was told and what it measured.
    await machine.run('dpkg -r stripchart');
    assert.equal((await machine.unit(UNIT)).active, 'inactive');
    await assert.rejects(fetch(url));
    assert.deepEqual(await traces(machine), [
      '/etc/stripchart',
      '/var/lib/dpkg/info/stripchart.list',
      '/var/lib/dpkg/info/stripchart.postrm',
      '/var/lib/stripchart',
    ]);
    assert.match(await machine.run('find /var/lib/stripchart -path "*/wal/*" -size +0'), /wal/, 'the data');

    // Purged, it leaves nothing.
    await machine.run('dpkg --purge stripchart');
    assert.deepEqual(await traces(machine), []);
    assert.doesNotMatch(await machine.run('cat /etc/passwd /etc/group'), /stripchart/);
  }),
);

/**
 * The same package with a higher version.
 *
 * @param {string} path
 * @param {string} folder to work in
 */
async function nextVersion(path, folder) {
  const run = promisify(execFile);
  await mkdir(folder);
  await run('dpkg-deb', ['-R', path, `${folder}/files`]);
  await run('sed', ['-i', '/^Version:/s/$/+next/', `${folder}/files/DEBIAN/control`]);
  await run('dpkg-deb', ['-Zgzip', '-z1', '-b', `${folder}/files`, `${folder}/newer.deb`]);
  return `${folder}/newer.deb`;
}

/**
 * Every path outside of the running system's own state that bears the name, without what is below it.
 *
 * @param {import('./machine.js').Machine} machine
 */
async function traces(machine) {
  const found = await machine.run(
    "find /changed /usr/lib/systemd/system /etc /var -name '*stripchart*' -prune -print | sort",
  );
  return found.split('\n').filter(Boolean);
}
