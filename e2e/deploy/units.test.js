import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../clients/support/port.js';
import { startChild } from '../support/children.js';
import { ROOT } from '../support/paths.js';
import { history } from '../support/recorder.js';
import { scene } from '../support/scene.js';
import { assertHolds } from '../support/series.js';
import { until } from '../support/until.js';
import { startMachine } from './machine.js';
import { startRedis } from './redis.js';

const COLLECT = 'stripchart-collect';
const SERVE = 'stripchart-serve';
const UNITS = [COLLECT, SERVE];

/** Shorter than in the units, so that a test sees them pass, s. */
const WATCHDOG = 4;
const START_TIMEOUT = 6;

/** The distance of two measurements, and how long a killed collector may be away: RestartSec and its start, ms. */
const INTERVAL = 1_000;
const AWAY = 6_000;

test(
  'under a running systemd, installed as docs/OPERATIONS.md says, the units wait for Redis, come back after kill -9 and when they stand still, and lose nothing',
  scene(async scene => {
    const machine = await startMachine(scene);
    const [redis, port] = [await freePort(), await freePort()];
    const url = `http://127.0.0.1:${port}`;
    const enable = await install(machine, { redis, port });
    for (const unit of UNITS)
      await machine.override(unit, `WatchdogSec=${WATCHDOG}`, `TimeoutStartSec=${START_TIMEOUT}`);

    // Without Redis the collector is ready, and the server is waited for, longer than a start may last by itself.
    const enabled = machine.run(enable);
    enabled.catch(() => {}); // told below
    await sleep(1_000 * (START_TIMEOUT + 2));
    const waiting = await machine.unit(SERVE);
    assert.deepEqual(
      [waiting.active, waiting.status, waiting.restarts],
      ['activating', 'waiting for the bus', 0],
    );
    const spooling = await machine.unit(COLLECT);
    assert.equal(spooling.active, 'active');
    assert.match(spooling.status, /^running; the bus is away; \d+ batches wait in the spool$/);
    await startRedis(scene, redis);
    await enabled;
    for (const unit of UNITS)
      await until(`${unit} to run`, async () => (await machine.unit(unit)).status === 'running');
    assert.equal((await machine.unit(SERVE)).pid, waiting.pid, 'it was never restarted');

    // Killed, each comes back; what stands still is killed and comes back, and says what it was at.
    /** When the collector was away, ms. @type {[number, number][]} */
    const away = [];
    for (const unit of UNITS) {
      const before = await machine.unit(unit);
      const from = Date.now();
      await machine.run(`kill -KILL ${before.pid}`);
      await back(machine, unit, before);
      if (unit === COLLECT) away.push([from, Date.now()]);
    }
    const before = [await machine.unit(COLLECT), await machine.unit(SERVE)];
    const from = Date.now();
    await machine.run(`kill -STOP ${before.map(({ pid }) => pid).join(' ')}`);
    for (const [i, unit] of UNITS.entries()) await back(machine, unit, before[i] ?? assert.fail());
    away.push([from, Date.now()]);
    for (const unit of UNITS) {
      const said = await machine.run(`journalctl -u ${unit}`);
      assert.match(said, /watchdog timeout/i, unit);
      assert.match(said, /goroutine \d+ .*\[/, `${unit} printed what its goroutines were at`);
    }

    // Nothing that was measured is missing: a tick lacks only while there was no collector.
    const since = Date.now();
    const held = await until('it to go on', async () => {
      const held = await history(url, Date.now());
      const [, load] = [...held].find(([series]) => series.includes('"load1"')) ?? [];
      return (load?.at(-1)?.[0] ?? 0) > since + INTERVAL && held;
    });
    const ticks = [...held].find(([series]) => series.includes('"load1"'))?.[1].map(([time]) => time) ?? [];
    for (let i = 1; i < ticks.length; i++) {
      const [a, b] = [ticks[i - 1] ?? 0, ticks[i] ?? 0];
      const hole = b - a > INTERVAL;
      assert.ok(
        !hole || away.some(([x, y]) => a >= x - INTERVAL && b <= y + AWAY),
        `nothing from ${a} to ${b}`,
      );
    }
    const figures = await (await fetch(`${url}/metrics`)).text();
    for (const [line] of figures.matchAll(/^stripchart_(gaps_total|batches_missing_total)\S* .*$/gm))
      assert.match(line, / 0$/, 'no gap is declared');

    // A restart keeps what there was.
    for (const unit of UNITS) await machine.run(`systemctl stop ${unit}`);
    await machine.run(`systemctl start ${UNITS.join(' ')}`);
    assertHolds(await history(url, Date.now()), held);

    // The data is its service's alone.
    for (const unit of UNITS) {
      const places = await machine.run(`find -L /var/lib/${unit} -printf '%U %m %y %p\\n'`);
      const owners = new Set(
        places
          .trim()
          .split('\n')
          .map(line => line.split(' ')[0]),
      );
      assert.equal(owners.size, 1, places);
      assert.notEqual([...owners][0], '0');
      assert.match(places, new RegExp(`^\\d+ 700 d /var/lib/${unit}$`, 'm'));
      assert.doesNotMatch(places, /^\d+ \d[1-7]\d |^\d+ \d\d[1-7] /m, 'nobody else may look');
    }

    // The journal knows how serious a line is, and its lines can be read.
    const [all, serious] = [
      await machine.run('journalctl -o cat -t stripchart'),
      await machine.run('journalctl -o cat -t stripchart -p warning'),
    ];
    assert.match(all, /^level=INFO msg="open this page" url=/m);
    assert.match(serious, /^level=WARN msg="the bus is away; waiting for it"/m);
    assert.doesNotMatch(serious, /level=INFO/);
  }),
);

test(
  'the collector measures in its unit what it measures as root without it',
  scene(async scene => {
    const machine = await startMachine(scene);
    const [redis, port, plain] = [await freePort(), await freePort(), await freePort()];
    await startRedis(scene, redis);
    await machine.run(await install(machine, { redis, port }));
    const { child, exited } = startChild(
      ...machine.enter(`exec /usr/local/bin/stripchart --listen 127.0.0.1:${plain} --data-dir /root/plain`),
    );
    scene.closing(async () => {
      child.kill('SIGKILL');
      await exited;
    });
    await until('the one without a unit to be ready', () =>
      fetch(`http://127.0.0.1:${plain}/readyz`).then(
        answer => answer.ok,
        () => false,
      ),
    );
    // What is large is measured by the one as by the other, also on the disk where the unit has a folder of its own.
    await machine.run(
      'head -c 3M /dev/zero > /tmp/large && head -c 5M /dev/zero > /home/large && sync /tmp /home',
    );

    const last = Date.now();
    const both = await until(
      'a round of both after the disks were filled',
      async () => {
        const [unit, root] = await Promise.all(
          [port, plain].map(at => history(`http://127.0.0.1:${at}`, Date.now())),
        );
        return unit && root && [unit, root].every(held => newest(held, 'processes') > last) && { unit, root };
      },
      30_000,
    );
    const names = (/** @type {typeof both.unit} */ held) => [...held.keys()].sort();
    assert.deepEqual(names(both.unit), names(both.root));
    for (const mountpoint of ['/', '/home', '/tmp'])
      assert.ok(
        names(both.unit).some(name => name.includes(`["mountpoint","${mountpoint}"]`)),
        mountpoint,
      );
    for (const [series, samples] of both.root) {
      const { __name__: metric = '', mountpoint } = Object.fromEntries(JSON.parse(series));
      // What does not change between one reading and the other; the root is written to all the time.
      if (!/^(filesystem_.*|processes|memory_total_bytes)$/.test(metric) || mountpoint === '/') continue;
      const other = new Map(both.unit.get(series));
      const common = samples.filter(([time]) => time > last && other.has(time));
      assert.ok(common.length > 0, `${series} at the same time`);
      for (const [time, value] of common) assert.equal(other.get(time), value, `${series} at ${time}`);
    }
  }),
);

/**
 * Does what docs/OPERATIONS.md says, up to the start, with ports of the test's own.
 *
 * @param {import('./machine.js').Machine} machine
 * @param {{ redis: number, port: number }} ports
 * @returns {Promise<string>} the command that is left: to enable and start both
 */
async function install(machine, { redis, port }) {
  const operations = await readFile(join(ROOT, 'docs', 'OPERATIONS.md'), 'utf8');
  const steps = /^## Installation with systemd\n.*?^```sh\n(.*?)^```/ms.exec(operations)?.[1] ?? '';
  const starts = steps.split('\n').filter(line => line.startsWith('systemctl enable'));
  const enable = starts.find(line => UNITS.every(unit => line.includes(unit)));
  assert.ok(enable, `a command that enables both: ${steps}`);
  await machine.run(`set -e\n${steps.replaceAll(/^systemctl enable.*$/gm, '')}`);
  await machine.run(
    `sed -i 's#^STRIPCHART_BUS=.*#STRIPCHART_BUS=redis://127.0.0.1:${redis}/0#; ` +
      `s#^STRIPCHART_LISTEN=.*#STRIPCHART_LISTEN=127.0.0.1:${port}#' /etc/stripchart/*.env`,
  );
  return enable;
}

/**
 * Waits until systemd has restarted a unit.
 *
 * @param {import('./machine.js').Machine} machine
 * @param {string} unit
 * @param {import('./machine.js').UnitState} before
 */
function back(machine, unit, before) {
  return until(
    `${unit} to be back`,
    async () => {
      const { active, pid, restarts } = await machine.unit(unit);
      return active === 'active' && pid !== before.pid && restarts === before.restarts + 1;
    },
    20_000,
  );
}

/**
 * The newest time of a metric, Unix ms; 0 if there is none.
 *
 * @param {import('../support/series.js').Held} held
 * @param {string} metric
 */
function newest(held, metric) {
  const found = [...held].find(([series]) => Object.fromEntries(JSON.parse(series)).__name__ === metric);
  return found?.[1].at(-1)?.[0] ?? 0;
}
