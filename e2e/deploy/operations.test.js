import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { ROOT } from '../support/paths.js';
import { scene } from '../support/scene.js';
import { until } from '../support/until.js';
import { startRedis } from './redis.js';

/** A counter by label that no test can make count here: this system has everything that is probed. */
const NOT_SEEN_HERE = ['stripchart_collector_probe_failures_total'];

test(
  'every metric that docs/OPERATIONS.md watches is there',
  scene(async scene => {
    // One has its bus in memory, the other in Redis, and so a spool.
    const redis = await startRedis(scene);
    const alone = await scene.start('--interval', '200ms');
    const programs = [
      alone,
      await scene.start('--interval', '200ms', '--bus', redis, '--from-flask', redis, '--scrape', alone.url),
    ];
    for (const program of programs) {
      // So that connections have been opened, closed and refused, and a write and a query too.
      const client = scene.client(program, '/');
      await client.event('update');
      client.close();
      await fetch(`${program.url}/socket.io/?EIO=9&transport=polling`);
      await fetch(`${program.url}/api/v1/push/a`, { method: 'POST', body: '1\nnot a number' });
      await fetch(`${program.url}/api/v1/query?query=vector(1)`);
    }

    const operations = await readFile(join(ROOT, 'docs', 'OPERATIONS.md'), 'utf8');
    const watched = new Set(operations.match(/\bstripchart_[a-z_]+[a-z]\b/g));
    assert.ok(watched.size > 40, `${watched.size} names`);
    let missing = [...watched];
    await until('every one of them to be counted', async () => {
      const there = await metricsOf(programs);
      missing = missing.filter(
        name => !there.has(name) && !there.has(`${name}_count`) && !NOT_SEEN_HERE.includes(name),
      );
      return missing.length === 0;
    }).catch(error => {
      throw new Error(`${error.message}; missing: ${missing}`);
    });
  }),
);

/**
 * The names of all metrics that the programs have.
 *
 * @param {readonly import('../support/program.js').Program[]} programs
 */
async function metricsOf(programs) {
  const pages = await Promise.all(programs.map(async ({ url }) => (await fetch(`${url}/metrics`)).text()));
  return new Set(pages.flatMap(page => page.match(/^stripchart_\w+/gm) ?? []));
}
