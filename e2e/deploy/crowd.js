import { Agent } from 'node:http';
import { io } from 'socket.io-client';
import { until } from '../support/until.js';

/**
 * Viewers of namespace `/` with the official client, and the client's own habits of reconnecting.
 *
 * @param {import('../support/scene.js').Scene} scene
 * @param {string} url
 * @param {readonly Kind[]} kinds
 */
export async function openCrowd(scene, url, kinds) {
  const viewers = kinds.map(kind => new Viewer(url, kind));
  scene.closing(() => {
    for (const viewer of viewers) viewer.close();
  });
  await until('every viewer to be live', () => viewers.every(viewer => viewer.updates > 0));
  return viewers;
}

export class Viewer {
  /** How many updates came. */
  updates = 0;
  /** How often a connection was lost, or was not made. */
  failures = 0;

  /**
   * @param {string} url
   * @param {Kind} kind
   */
  constructor(url, { transports, from }) {
    this.what = `${transports} from ${from}`;
    this.agent = new Agent({ keepAlive: true, ...{ localAddress: from } });
    const agent = /** @type {any} */ (this.agent);
    this.socket = io(url, { transports: [...transports], forceNew: true, agent });
    this.socket.on('update', () => {
      this.updates += 1;
    });
    this.socket.on('disconnect', () => {
      this.failures += 1;
    });
    this.socket.on('connect_error', () => {
      this.failures += 1;
    });
  }

  /** The transport that it has now. */
  get transport() {
    return this.socket.io.engine.transport.name;
  }

  close() {
    this.socket.disconnect();
    this.agent.destroy();
  }
}

/**
 * How many connections a server has, of all kinds and by polling.
 *
 * @param {{ url: string }} server
 */
export async function connections(server) {
  const figures = await (await fetch(`${server.url}/metrics`)).text();
  const figure = (/** @type {string} */ name) =>
    Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(figures)?.[1]);
  return { all: figure('stripchart_connections'), polling: figure('stripchart_connections_polling') };
}

/**
 * A viewer's transports, in the order in which they are tried, and the loopback address that it comes from.
 *
 * @typedef {{ transports: readonly ('polling' | 'websocket')[], from: string }} Kind
 */
