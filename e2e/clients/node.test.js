import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { scene } from '../support/scene.js';
import { QUERY, WAYS } from './support/judge.js';
import { NODE_CLIENTS } from './support/runtimes.js';
import { HEAD_START, INTERVAL, judge, testClient } from './support/scenario.js';
import { watch } from './support/watch.js';

for (const { version, io } of NODE_CLIENTS) {
  testClient(`socket.io-client ${version} in Node.js`, () => async (url, transports) => {
    return open(io, url, transports);
  });
}

test(
  'an upgrade at any moment between two updates loses none and brings none twice',
  scene(async scene => {
    const program = await scene.start('--interval', `${INTERVAL}ms`);
    await program.untilMeasured(HEAD_START);
    const way = WAYS[2];
    const viewers = [];
    for (let i = 0; i < 15; i++) {
      for (const { version, io } of NODE_CLIENTS) {
        const viewer = open(io, program.url, way.transports);
        scene.closing(viewer.close);
        viewers.push({ way, what: `viewer ${i}, ${version}`, viewer });
        // Not a multiple or a part of the interval, so that the moments are spread over it.
        await sleep(INTERVAL / 3 + 1);
      }
    }
    await judge(program, viewers);
  }),
);

/**
 * @param {any} io the client's entry point
 * @param {string} url
 * @param {readonly string[]} transports
 */
function open(io, url, transports) {
  const { log, close } = watch(io, { url, transports, query: QUERY });
  return { log: async () => log, close };
}
