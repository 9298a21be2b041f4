import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../clients/support/port.js';
import { scene } from '../support/scene.js';
import { PATIENCE, until } from '../support/until.js';
import { openAudience } from './audience.js';
import { connections } from './crowd.js';
import { startRedis } from './redis.js';
import { startSite } from './site.js';
import { NumberedSource } from './source.js';

const VIEWERS = 1_000;
const SERIES = 2;
/** Distance of samples, ms. */
const INTERVAL = 200;

/** Longer than nginx leaves a dead server alone (fail_timeout), ms. */
const FORGIVEN_AFTER = 2_500;

test(
  'of two servers on one Redis the one is killed, then the other: 1,000 viewers are live again and hold everything once',
  scene(async scene => {
    const bus = await startRedis(scene);
    const servers = /** @type {const} */ ([
      await scene.start('serve', '--bus', bus),
      await scene.start('serve', '--bus', bus),
    ]);
    const site = await startSite(scene, servers, await freePort());
    const source = new NumberedSource(site.url, { series: SERIES, interval: INTERVAL });
    const viewers = await openAudience(scene, site.url, VIEWERS);

    for (const [killed, left] of /** @type {const} */ ([
      [0, 1],
      [1, 0],
    ])) {
      const atIt = (await connections(servers[killed])).all;
      assert.ok(atIt > VIEWERS / 4, `it has viewers: ${atIt}`);
      await sleep(2 * INTERVAL * Math.random());

      const lost = viewers.map(viewer => viewer.lost);
      const start = performance.now();
      await servers[killed].kill();
      const dead = Date.now();
      for (const viewer of viewers) viewer.awaitNewerThan(dead);
      await until(
        'every viewer to have a sample that was measured after the kill',
        () => viewers.every(viewer => viewer.awaitedCame > 0),
        5 * PATIENCE, // a thousand connections at once
      );
      const moved = viewers.filter((viewer, i) => viewer.lost > (lost[i] ?? 0));
      assert.equal(moved.length, atIt, 'only the viewers of the dead server noticed');
      const took = moved.map(viewer => viewer.awaitedCame - start).sort((a, b) => a - b);
      const [median, most] = [took[Math.floor(took.length / 2)] ?? 0, took.at(-1) ?? 0];
      console.log(
        `server ${killed + 1} of 2 killed: ${moved.length} of ${VIEWERS} viewers moved; ` +
          `live again after ${Math.round(median)} ms (median), ${Math.round(most)} ms (the last)`,
      );
      assert.equal((await connections(servers[left])).all, VIEWERS);

      await servers[killed].start();
      await sleep(FORGIVEN_AFTER);
    }

    await source.stop();
    const { acknowledged, failures } = source;
    await until('the last sample at every viewer', () =>
      viewers.every(({ held }) => [...held.values()].every(({ size }) => size >= acknowledged.size)),
    );
    for (const viewer of viewers) viewer.assertHolds(SERIES, acknowledged);
    const sum = (/** @type {'repeated' | 'resumed' | 'joined'} */ what) =>
      viewers.reduce((n, viewer) => n + viewer[what], 0);
    console.log(
      `${SERIES * acknowledged.size} samples acknowledged, ${failures} requests sent again; ` +
        `${sum('joined')} whole histories and ${sum('resumed')} resumes sent, ${sum('repeated')} samples twice`,
    );
  }),
);
