import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { connect } from 'node:net';
import { delimiter, join } from 'node:path';
import { freePort } from '../clients/support/port.js';
import { startChild } from '../support/children.js';
import { until } from '../support/until.js';

/**
 * Starts a real Redis, or Valkey, with nothing on disk, and has it ended with the scene.
 *
 * @param {import('../support/scene.js').Scene} scene
 * @param {number} [port] a free one, if it has to be known before
 * @returns {Promise<string>} its URL, as --bus takes it
 */
export async function startRedis(scene, port) {
  port ??= await freePort();
  const folder = scene.path('redis');
  await mkdir(folder, { recursive: true });
  const { child, exited } = startChild(redis(), [
    ...['--port', `${port}`, '--bind', '127.0.0.1', '--dir', folder, '--logfile', join(folder, 'redis.log')],
    ...['--save', '', '--appendonly', 'no'],
  ]);
  let isOver = false;
  exited.then(() => {
    isOver = true;
  });
  scene.closing(async () => {
    child.kill('SIGKILL');
    await exited;
  });
  await until('Redis to listen', () => {
    if (isOver) throw new Error(`Redis ended at its start; see ${folder}/redis.log`);
    return listens(port);
  });
  return `redis://127.0.0.1:${port}/0`;
}

/** @param {number} port */
function listens(port) {
  return new Promise(resolve => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

/** What $REDIS_SERVER names, as for the Go tests, or else what is in the path. */
function redis() {
  const named = process.env.REDIS_SERVER;
  if (named) return named;
  for (const name of ['redis-server', 'valkey-server']) {
    const path = (process.env.PATH ?? '')
      .split(delimiter)
      .map(folder => join(folder, name))
      .find(existsSync);
    if (path) return path;
  }
  throw new Error('Redis is missing; run `make deps`');
}
