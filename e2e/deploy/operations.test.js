import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { ROOT } from '../support/paths.js';
import { scene } from '../support/scene.js';

/** What a Redis bus says of itself; there is none in this test. */
const OF_REDIS = /^stripchart_bus_/;

/** Counters by label that no test can make count here: this system has everything that is probed. */
const NOT_SEEN_HERE = ['stripchart_collector_probe_failures_total'];

test(
  'every metric that docs/OPERATIONS.md watches is there',
  scene(async scene => {
    const program = await scene.start('--interval', '200ms');
    // So that connections have been opened, closed and refused.
    const client = scene.client(program, '/');
    await client.event('update');
    client.close();
    await fetch(`${program.url}/socket.io/?EIO=9&transport=polling`);

    const operations = await readFile(join(ROOT, 'docs', 'OPERATIONS.md'), 'utf8');
    const watched = new Set(
      operations.match(/\bstripchart_[a-z_]+[a-z]\b/g)?.filter(name => name !== 'stripchart_collector'),
    );
    assert.ok(watched.size > 20, `${watched.size} names`);
    const figures = await (await fetch(`${program.url}/metrics`)).text();
    const there = new Set(figures.match(/^stripchart_\w+/gm));
    const missing = [...watched].filter(
      name =>
        !OF_REDIS.test(name) &&
        !there.has(name) &&
        !there.has(`${name}_count`) &&
        !NOT_SEEN_HERE.includes(name),
    );
    assert.deepEqual(missing, []);
  }),
);
