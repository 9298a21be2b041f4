// What is done to the processes while writers write and viewers watch.

import { request as encode, snappy } from './remotewrite.js';
import { sleep } from './viewer.js';
import { labels, post } from './writers.js';

/**
 * @typedef {object} Harmed
 * @property {import('./stage.js').Stage} stage
 * @property {import('./truth.js').Truth} truth
 * @property {(rule: string, where: string, detail: string) => void} violation
 * @property {(server: string, reason: string) => void} harmed
 * @property {(text: string) => void} say
 * @property {(text: string) => void} open
 * @property {import('./losses.js').Losses} losses
 *
 * @typedef {object} Fault
 * @property {string} name
 * @property {string[]} modes
 * @property {(world: Harmed, random: import('./random.js').Random) => Promise<void>} run
 */

const BOTH = ['memory', 'redis'];

/** Fills the log until what a server has not read is trimmed. @param {Harmed} w @param {import('./stage.js').Server} alive @param {number} since */
async function flood({ stage, say, open }, alive, since) {
  const end = Date.now() + 45_000;
  let sent = 0;
  while (Date.now() < end) {
    const now = Date.now();
    const samples = Array.from({ length: 4000 }, (_, k) => ({ t: now - 4000 + k, v: Math.random() }));
    const data = snappy(encode([{ labels: labels('flood', { n: String(sent++) }), samples }]));
    await post(alive, data, {}, 5000);
    if (sent > 12) await sleep(200);
    if (sent % 5 === 0 && ((await stage.redis?.oldest()) ?? 0) > since) {
      say(`trimmed after ${sent} floods`);
      return true;
    }
  }
  open('the fault trim had no effect: the log was not trimmed within 45 s');
  return false;
}

/** @type {Fault[]} */
export const FAULTS = [
  { name: 'calm', modes: BOTH, run: () => sleep(2500) },
  {
    name: 'kill',
    modes: BOTH,
    async run({ stage, truth }, random) {
      const server = random.pick(stage.servers);
      await server.end('SIGKILL');
      if (stage.mode === 'memory') truth.unpin();
      await sleep(random.int(0, 2500));
      await server.start();
    },
  },
  {
    name: 'kill twice',
    modes: BOTH,
    async run({ stage, truth }, random) {
      const server = random.pick(stage.servers);
      for (let i = 0; i < 2; i++) {
        await server.end('SIGKILL');
        if (stage.mode === 'memory') truth.unpin();
        await server.start();
        await sleep(random.int(0, 900));
      }
    },
  },
  {
    name: 'terminate',
    modes: BOTH,
    async run({ stage, truth, violation }, random) {
      const server = random.pick(stage.servers);
      const took = await server.end('SIGTERM');
      // README: "`SIGINT` and `SIGTERM` end it within five seconds".
      if (took > 5500) violation('process', server.name, `SIGTERM took ${took} ms`);
      if (stage.mode === 'memory') truth.unpin();
      await sleep(random.int(0, 1500));
      await server.start();
    },
  },
  {
    name: 'stop',
    modes: BOTH,
    async run({ stage }, random) {
      await random.pick(stage.servers).freeze(random.int(1500, 4500));
    },
  },
  {
    name: 'kill both',
    modes: ['redis'],
    async run({ stage }, random) {
      await Promise.all(stage.servers.map(s => s.end('SIGKILL')));
      await sleep(random.int(0, 800));
      await Promise.all(stage.servers.map(s => s.start()));
    },
  },
  {
    name: 'one away',
    modes: ['redis'],
    async run({ stage }, random) {
      const server = random.pick(stage.servers);
      await server.end(random.pick(['SIGKILL', 'SIGTERM']));
      await sleep(random.int(3000, 6000));
      await server.start();
    },
  },
  {
    name: 'stop redis',
    modes: ['redis'],
    async run({ stage }, random) {
      await stage.redis?.freeze(random.int(1000, 4500));
    },
  },
  {
    name: 'kill redis',
    modes: ['redis'],
    async run({ stage }, random) {
      await stage.redis?.end(random.pick(['SIGKILL', 'SIGTERM']));
      await sleep(random.int(0, 2500));
      await stage.redis?.start();
    },
  },
  {
    name: 'redis and a server',
    modes: ['redis'],
    async run({ stage }, random) {
      const server = random.pick(stage.servers);
      await Promise.all([stage.redis?.end('SIGKILL'), server.end('SIGKILL')]);
      await stage.redis?.start();
      await sleep(random.int(0, 1000));
      await server.start();
    },
  },
  {
    name: 'trim',
    modes: ['redis'],
    async run(world, random) {
      const [away, alive] = random.shuffled(world.stage.servers);
      await away.end(random.pick(['SIGKILL', 'SIGTERM']));
      const since = Date.now();
      await sleep(random.int(500, 1500));
      const reached = since + 300;
      const trimmed = await flood(world, alive, reached);
      const loss = trimmed ? world.losses.begin(away, 'log_trimmed', since - 1000) : undefined;
      if (trimmed) world.harmed(away.name, 'log_trimmed');
      await away.start();
      if (loss) loss.to = Date.now();
    },
  },
  {
    name: 'wipe redis',
    modes: ['redis'],
    async run({ stage, harmed, losses, truth }, random) {
      for (const s of stage.servers) harmed(s.name, 'log_lost');
      const lost = stage.servers.map(s => losses.begin(s, 'log_lost'));
      await stage.redis?.end('SIGKILL');
      stage.redis?.wipe();
      truth.unpin();
      await sleep(random.int(0, 1500));
      await stage.redis?.start();
      for (const loss of lost) loss.to = Date.now();
    },
  },
];
